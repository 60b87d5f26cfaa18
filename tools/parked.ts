/**
 * `make parked`: the events that services could not handle, each with its reason, and those that wait behind them.
 *
 * SHOW=<id> prints one with its payload. REPLAY=<key>|all hands them to their service again, in order, until one fails.
 * DISCARD=<id> REASON="…" removes one for good. KEY=<key> lists one key alone, SERVICE=… looks at one service alone. Exits
 * with 1 where a replay left some behind, or a service did not answer.
 */
import { GraphFailure } from "@crowdcrunch/shopper/client";
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

interface ParkedPage {
  total: number;
  nodes: ParkedEvent[];
  keys: { key: string; events: number; oldestAt: string }[];
}

/** The most that a service lists at once. */
const listed = 100;

async function parkedOf(ask: AskAsStaff, service: string, key: string | null): Promise<ParkedPage> {
  const field = `${service}Parked`;
  const document = `query Parked($key: String) { ${field}(first: ${listed}, key: $key) {
    total nodes { id type key reason parkedAt } keys { key events oldestAt } } }`;
  return (await ask(document, { key }))[field] as ParkedPage;
}

async function show(ask: AskAsStaff, service: string, id: string): Promise<boolean> {
  const field = `${service}ParkedEvent`;
  const document = `query ParkedEvent($id: ID!) { ${field}(id: $id) {
    id type key subject sequence time traceparent reason parkedAt payload } }`;
  const event = (await ask(document, { id }))[field] as (ParkedEvent & { payload: string }) | null;
  if (!event) return false;
  const { payload, ...about } = event;
  for (const [name, value] of Object.entries(about)) console.log(`${name.padEnd(12)}${value ?? "-"}`);
  console.log(`${"service".padEnd(12)}${service}\n\n${JSON.stringify(JSON.parse(payload), null, 2)}`);
  console.error("\nThe payload may hold personal data: keep it out of tickets and chats.");
  return true;
}

async function replay(ask: AskAsStaff, service: string, key: string): Promise<{ handled: number; remaining: number }> {
  const field = `${service}ReplayParked`;
  const document = `mutation Replay($key: String) { ${field}(key: $key) { handled remaining } }`;
  const answer = await ask(document, { key: key === "all" ? null : key });
  return answer[field] as { handled: number; remaining: number };
}

async function discard(ask: AskAsStaff, service: string, id: string, reason: string): Promise<number> {
  const field = `${service}DiscardParked`;
  const document = `mutation Discard($id: ID!, $reason: String!) { ${field}(id: $id, reason: $reason) { remaining } }`;
  return ((await ask(document, { id, reason }))[field] as { remaining: number }).remaining;
}

function print(service: string, { total, nodes, keys }: ParkedPage): void {
  for (const { key, events, oldestAt } of keys) {
    console.log(`${service}  key ${key}: ${events} parked, the first at ${oldestAt}`);
    for (const event of nodes.filter((node) => node.key === key)) {
      console.log(`    ${event.id}  ${event.type}\n        ${event.reason}`);
    }
  }
  if (total > nodes.length) console.log(`    … and ${total - nodes.length} more of ${service}`);
}

await main(async () => {
  const { SERVICE: service, KEY: only, SHOW: shown, REPLAY: key, DISCARD: discarded, REASON: reason } = process.env;
  const known = serviceNames();
  if (service && !known.includes(service))
    throw new Problem(`There is no service "${service}"; there are ${known.join(", ")}.`);
  if (discarded && !reason?.trim()) throw new Problem('Say why: make parked DISCARD=<id> REASON="…".');

  for (const id of [shown, discarded]) {
    if (id && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id))
      throw new Problem(`"${id}" is not the id of an event: make parked lists them.`);
  }

  await asStaff(async (ask) => {
    let silent = 0;
    /** What services answer, but for those that do not. */
    async function ofEach<Answer>(
      work: (name: string) => Promise<Answer>,
    ): Promise<{ name: string; answer: Answer }[]> {
      const answers: { name: string; answer: Answer }[] = [];
      for (const name of service ? [service] : known) {
        try {
          answers.push({ name, answer: await work(name) });
        } catch (error) {
          if (!(error instanceof GraphFailure)) throw error;
          silent += 1;
          console.error(`${name} does not answer: ${error.message}`);
        }
      }
      if (silent > 0) process.exitCode = 1;
      return answers;
    }

    if (shown || discarded) {
      const id = (shown || discarded)!;
      const found = (await ofEach((name) => show(ask, name, id))).filter(({ answer }) => answer);
      if (found.length === 0) throw new Problem(`No event with the id ${id} is parked.`);
      if (!discarded) return;
      if (found.length > 1)
        throw new Problem(`It is parked in ${found.map(({ name }) => name).join(" and ")}: say in which by SERVICE=….`);
      const remaining = await discard(ask, found[0]!.name, id, reason!);
      console.log(`\n${found[0]!.name}: it is discarded, ${remaining} still parked.`);
      return;
    }

    const pages = await ofEach((name) => parkedOf(ask, name, only || (key && key !== "all" ? key : null)));
    const parked = pages.filter(({ answer }) => answer.total > 0);
    for (const { name, answer } of parked) print(name, answer);
    if (key) {
      if (parked.length === 0 && key !== "all") throw new Problem(`No event with the key ${key} is parked.`);
      for (const { name } of parked) {
        const { handled, remaining } = await replay(ask, name, key);
        console.log(`${name}: ${handled} handled now, ${remaining} still parked.`);
        if (remaining > 0) process.exitCode = 1;
      }
    }
    if (parked.length === 0 && silent === 0) console.log("Nothing is parked.");
    else if (!key && parked.length > 0)
      console.log('\nmake parked SHOW=<id>, REPLAY=<key>|all, or DISCARD=<id> REASON="…".');
  });
});
