import { services } from "@crowdcrunch/tools/processes";
import { endsOf, occurrencesSince } from "../occurrences.ts";
import { scenario } from "../scenario.ts";

const times = 100;
/** Of each topic, so that the whole stays below 100,000. */
const mostEvents = 100;

export default scenario({
  number: 18,
  name: "delivered-100-times",
  fault: "every event delivered 100 times",
  hypothesis: "However often an event comes, it has its effect when it comes first, and none after that.",
  expectation: "one effect",
  async run({ eventLogAs, shop, inject, heal, fired, expect, count, lasts, until, underWay }) {
    const inboxes = () =>
      count(`SELECT ${services.map(({ name }) => `(SELECT count(*) FROM ${name}.inbox)`).join(" + ")}`);
    const handled = async () => (await Promise.all(services.map((one) => handledBy(shop.metricsUrl(one))))).reduce(add);
    const before = { inboxes: await inboxes(), handled: await handled() };
    const topics = await Promise.all(
      services.map(async ({ name }) => {
        const eventLog = await eventLogAs(name);
        return { name, eventLog, ends: await endsOf(eventLog, name) };
      }),
    );
    await lasts(4);
    for (const { name, eventLog, ends } of topics) {
      const events = (await occurrencesSince(eventLog, name, ends)).events.slice(0, mostEvents);
      const again = Array.from({ length: times - 1 }, () => events).flat();
      if (events.length === 0) continue;
      await inject(`${events.length} events of ${name} come ${again.length} times more`, () =>
        eventLog.append(name, again),
      );
    }
    await heal("all are appended");
    let repeats = 0;
    for (const { name, eventLog, ends } of topics) repeats += (await occurrencesSince(eventLog, name, ends)).repeats;
    fired(repeats, "repeats that the log has");
    await until("consumers behind all of it", async () => (await underWay()) < 300, 90);
    // Asked in this order, because what is handled is in the inbox before it is counted. A transaction that is tried
    // again counts twice; with repeats that are let in it would be thousands.
    const more = { handled: (await handled()) - before.handled, inboxes: (await inboxes()) - before.inboxes };
    expect("events are handled once", more.handled < more.inboxes + repeats / times / 2, more);
  },
});

const add = (sum: number, more: number) => sum + more;

/** How many events a service says that it has handled. */
async function handledBy(metricsUrl: string): Promise<number> {
  const text = await (await fetch(`${metricsUrl}/metrics`)).text();
  const values = [...text.matchAll(/^crowdcrunch_events_handled_total\{.*\} (\d+)$/gm)];
  return values.map(([, value]) => Number(value)).reduce(add, 0);
}
