import { maxEventBytes } from "./eventlog.ts";

/** An event's data as JSON. Throws a RangeError that names the event where it is beyond 512 kB. */
export function jsonOfData(event: { type: string; subject: string; data: unknown }): string {
  const data = JSON.stringify(event.data);
  const bytes = Buffer.byteLength(data);
  if (bytes > maxEventBytes) {
    throw new RangeError(`${event.type} of ${event.subject} has ${bytes} bytes; events may have ${maxEventBytes}`);
  }
  return data;
}
