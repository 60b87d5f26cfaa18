import { OffsetOutOfRange } from "../eventlog.ts";
import type { Subscription } from "../eventlog.ts";
import type { Control } from "./control.ts";

interface Assigned {
  topic: string;
  partition: number;
  epoch: number;
  /** Offset of the first event that the group has not handled. */
  committed: number;
  /** Offset of the oldest event that is kept. */
  first: number;
}

const assigned = {
  name: "eventlog_assigned",
  text: `SELECT p.topic, p.partition, p.epoch, p.committed, h.first
         FROM eventlog.positions p JOIN eventlog.heads h USING (topic, partition)
         WHERE p.group_name = $1 AND p.member = $2 AND (p.begun <> p.epoch OR p.committed < h.first)`,
};
const startAt = { name: "eventlog_start_at", text: `SELECT eventlog.start_at($1, $2, $3, $4, $5, $6)` };

/**
 * Fixes where a member begins to read partitions that it was given: where its group stands, or where the reader's
 * database does if that is earlier. Throws OffsetOutOfRange where the log keeps no more what would come next.
 */
export async function beginToRead(control: Control, member: string, subscription: Subscription): Promise<void> {
  const { group, onRewound } = subscription;
  const partitions = await control.query<Assigned>(assigned, [group, member]);
  const positions = (await subscription.positions?.()) ?? [];
  const standing = new Map(positions.map((position) => [`${position.topic} ${position.partition}`, position]));
  const starts = partitions.map(({ topic, partition, committed, first }) => {
    const position = standing.get(`${topic} ${partition}`);
    if (!position || position.next >= committed) return withinRange(group, topic, partition, committed, first);
    const next = position.next === 0 ? first : position.next;
    if (next < committed) onRewound?.({ ...position, next }, committed);
    return withinRange(group, topic, partition, next, first);
  });
  await control.query(startAt, [
    group,
    member,
    partitions.map(({ topic }) => topic),
    partitions.map(({ partition }) => partition),
    partitions.map(({ epoch }) => epoch),
    starts,
  ]);
}

function withinRange(group: string, topic: string, partition: number, next: number, first: number): number {
  if (next >= first) return next;
  throw new OffsetOutOfRange(
    `the next event of ${group} in partition ${partition} of ${topic} has the offset ${next}, and the log keeps those from ${first} on`,
  );
}
