/**
 * `make parked`: the events that services could not handle, each with its reason. REPLAY=<key>|all hands them to their
 * service again, in order, until one fails; SERVICE=… looks at one service alone. Exits with 1 where a replay left some
 * behind, or a service did not answer.
 */
import { GraphFailure } from "./client.ts";
import { Problem, main } from "./environment.ts";
import { serviceNames } from "./schemas.ts";
import { asStaff } from "./staff-graph.ts";
import type { AskAsStaff } from "./staff-graph.ts";

interface ParkedEvent {
  id: string;
  type: string;
  key: string;
  reason: string;
  parkedAt: string;
}

/** The most that a service lists. */
const listed = 100;

async function parkedOf(ask: AskAsStaff, service: string): Promise<ParkedEvent[]> {
  const field = `${service}Parked`;
  const answer = await ask(`query Parked { ${field}(first: ${listed}) { id type key reason parkedAt } }`);
  return answer[field] as ParkedEvent[];
}

async function replay(ask: AskAsStaff, service: string, key: string): Promise<{ handled: number; remaining: number }> {
  const field = `${service}ReplayParked`;
  const document = `mutation Replay($key: String) { ${field}(key: $key) { handled remaining } }`;
  const answer = await ask(document, { key: key === "all" ? null : key });
  return answer[field] as { handled: number; remaining: number };
}

await main(async () => {
  const { SERVICE: service, REPLAY: key } = process.env;
  const known = serviceNames();
  if (service && !known.includes(service))
    throw new Problem(`There is no service "${service}"; there are ${known.join(", ")}.`);

  await asStaff(async (ask) => {
    let parked = 0;
    let matching = 0;
    let silent = 0;
    for (const name of service ? [service] : known) {
      try {
        const events = await parkedOf(ask, name);
        parked += events.length;
        for (const event of events) {
          console.log(`${name}  ${event.parkedAt}  ${event.type}  key ${event.key}\n    ${event.reason}`);
        }
        if (events.length === listed) console.log(`    … and perhaps more: these are the first ${listed} of ${name}`);
        // One beyond the listed may be meant.
        const meant = key && (key === "all" || events.length === listed || events.some((event) => event.key === key));
        if (!meant || events.length === 0) continue;
        const { handled, remaining } = await replay(ask, name, key);
        matching += 1;
        console.log(`${name}: ${handled} handled now, ${remaining} still parked.`);
        if (remaining > 0) process.exitCode = 1;
      } catch (error) {
        if (!(error instanceof GraphFailure)) throw error;
        silent += 1;
        console.error(`${name} does not answer: ${error.message}`);
      }
    }
    if (silent > 0) process.exitCode = 1;
    if (parked === 0 && silent === 0) console.log("Nothing is parked.");
    else if (!key && parked > 0) console.log("\nmake parked REPLAY=<key>|all hands them to their service again.");
    else if (key && matching === 0) throw new Problem(`No event with the key ${key} is parked.`);
  });
});
