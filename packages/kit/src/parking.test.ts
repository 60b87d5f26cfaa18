import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { listIncidents, resolveIncident } from "./incidents.ts";
import { listParked, showParked } from "./parked-list.ts";
import { createListKeeper } from "./testing/list-keeper.ts";
import type { ListKeeper } from "./testing/list-keeper.ts";

let keeper: ListKeeper;
beforeAll(async () => {
  keeper = await createListKeeper();
});
afterAll(() => keeper.close());
afterEach(async () => {
  await keeper.stop();
  keeper.before = async () => {};
  keeper.refused.clear();
});

const me = "0190a5c0-0000-7000-8000-000000000001";

/** Parked events of the list whose key has no open incident: there must be none, at any time. */
const forgotten = `SELECT FROM parked p WHERE key = $1 AND NOT EXISTS (
  SELECT FROM incidents i WHERE i.kind = 'EVENT_PARKED' AND i.subject = p.key AND i.resolved_at IS NULL)`;

/** Three events are parked, "a" and "d" for themselves, "b" and "c" behind "a". */
async function parkSome(list: string): Promise<void> {
  for (const text of [`${list} a`, `${list} d`]) keeper.refused.add(text);
  await keeper.publish(...["a", "b", "c", "d"].map((letter) => keeper.add(list, `${list} ${letter}`)));
  await keeper.settled();
  expect(await keeper.parked(list)).toEqual(["a", "b", "c", "d"].map((letter) => `${list} ${letter}`));
}

describe("an event that cannot be handled", () => {
  test("is parked with an incident; later ones of its key wait behind it in order; other keys flow", async () => {
    keeper.refused.add("poison");
    const events = [
      ...[keeper.add("x", "x1"), keeper.add("sick", "first"), keeper.add("sick", "poison"), keeper.add("y", "y1")],
      ...[keeper.add("sick", "third"), keeper.add("x", "x2"), keeper.add("sick", "fourth"), keeper.add("y", "y2")],
    ];
    await keeper.publish(...events);
    await keeper.start();
    await keeper.settled();
    await keeper.publish(keeper.add("sick", "fifth"), keeper.add("x", "x3"));
    await keeper.settled();
    expect(await keeper.entries("x")).toEqual(["x1", "x2", "x3"]);
    expect(await keeper.entries("y")).toEqual(["y1", "y2"]);
    expect(await keeper.entries("sick")).toEqual(["first"]);
    expect(await keeper.parked("sick")).toEqual(["poison", "third", "fourth", "fifth"]);
    const detail = `payments.text-added.v1 ${events[2]!.id}: poison is refused`;
    expect(await keeper.openIncidents("sick")).toEqual([{ kind: "EVENT_PARKED", detail }]);
    for (const list of ["x", "y"]) expect(await keeper.openIncidents(list)).toEqual([]);
    const counted = await keeper.metrics.registry.getSingleMetricAsString("crowdcrunch_events_parked_total");
    expect(counted).toContain('type="payments.text-added.v1",service="orders"} 1');
  });

  test("is not handled by coming again", async () => {
    keeper.refused.add("twice");
    const event = keeper.add("again", "twice");
    await keeper.start();
    await keeper.publish(event);
    await keeper.settled();
    keeper.refused.clear();
    await keeper.publish(event);
    await keeper.settled();
    expect(await keeper.entries("again")).toEqual([]);
    expect(await keeper.parked("again")).toEqual(["twice"]);
  });

  test.each([
    ["an unknown version of a known event", { type: "payments.text-added.v2" }, "does not know it"],
    ["an event that nobody has declared", { type: "payments.text-removed.v1" }, "does not know it"],
    ["data that break the contract", { data: { list: "l", text: 7 } }, "/text must be string"],
  ])("may be %s", async (what, more, reason) => {
    await keeper.start();
    await keeper.publish(keeper.add(what, "a", more), keeper.add(what, "b"));
    await keeper.settled();
    expect(await keeper.entries(what)).toEqual([]);
    expect(await keeper.parked(what)).toHaveLength(2);
    const [incident] = await keeper.openIncidents(what);
    expect(incident?.detail).toContain(reason);
  });
});

test("whatever is thrown parks the event and lets the others pass", async () => {
  keeper.before = async (_, events) => {
    for (const { data } of events) if (data.list === "odd") await Promise.reject("a text \0");
  };
  await keeper.start();
  await keeper.publish(keeper.add("odd", "text"), keeper.add("even", "a"));
  await keeper.settled();
  expect(await keeper.entries("even")).toEqual(["a"]);
  expect(await keeper.parked("odd")).toEqual(["text"]);
  expect((await keeper.openIncidents("odd"))[0]?.detail).toMatch(/: a text $/);
});

describe("a replay", () => {
  test("handles in order until one fails, keeps the incident until all are handled, then resolves it", async () => {
    const consumer = await keeper.start();
    await parkSome("replay");
    await parkSome("other");

    expect(await consumer.replayParked("replay", me)).toMatchObject({ handled: 0 });
    expect(await keeper.parked("replay")).toHaveLength(4);

    keeper.refused.delete("replay a");
    expect(await consumer.replayParked("replay", me)).toMatchObject({ handled: 3 });
    expect(await keeper.entries("replay")).toEqual(["replay a", "replay b", "replay c"]);
    expect(await keeper.parked("replay")).toEqual(["replay d"]);
    const [{ detail }] = (await keeper.openIncidents("replay")) as unknown as [{ detail: string }];
    expect(detail).toContain("replay d is refused");
    expect(await keeper.ask("SELECT reason FROM parked WHERE key = 'replay'")).toEqual([
      { reason: "replay d is refused" },
    ]);

    keeper.refused.clear();
    expect(await consumer.replayParked("replay", me)).toMatchObject({ handled: 1 });
    expect(await keeper.entries("replay")).toHaveLength(4);
    const resolved = "SELECT resolved_by, resolution FROM incidents WHERE subject = 'replay'";
    expect(await keeper.ask(resolved)).toEqual([{ resolved_by: me, resolution: "replayed" }]);
    // The other key was not asked for.
    expect(await keeper.parked("other")).toHaveLength(4);
    expect(await keeper.openIncidents("other")).toHaveLength(1);

    expect((await consumer.replayParked(null, me)).handled).toBeGreaterThanOrEqual(4);
    expect(await keeper.entries("other")).toHaveLength(4);
    expect(await keeper.openIncidents("other")).toEqual([]);
    await keeper.publish(keeper.add("other", "later"));
    await keeper.settled();
    expect((await keeper.entries("other")).at(-1)).toBe("later");
  });

  test("and an event of the key that arrives meanwhile: it is handled behind, not parked and forgotten", async () => {
    const consumer = await keeper.start();
    await parkSome("meanwhile");
    keeper.refused.clear();
    const { promise: replaying, resolve: enter } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    keeper.before = async (_, events) => {
      if (events.some((event) => event.data.text === "meanwhile d")) {
        enter();
        await released;
      }
    };
    const replayed = consumer.replayParked("meanwhile", me);
    await replaying;
    await keeper.publish(keeper.add("meanwhile", "meanwhile e"));
    // Long enough for the batch to have seen that the key is parked.
    await new Promise((resolve) => setTimeout(resolve, 300));
    release();
    expect(await replayed).toMatchObject({ handled: 4 });
    await keeper.settled();
    expect(await keeper.entries("meanwhile")).toEqual(["a", "b", "c", "d", "e"].map((letter) => `meanwhile ${letter}`));
    expect(await keeper.parked("meanwhile")).toEqual([]);
    expect(await keeper.openIncidents("meanwhile")).toEqual([]);
  });

  test("two at once handle each event once", async () => {
    const consumer = await keeper.start();
    await parkSome("both");
    keeper.refused.clear();
    const outcomes = await Promise.all([consumer.replayParked("both", me), consumer.replayParked("both", me)]);
    expect(outcomes[0]!.handled + outcomes[1]!.handled).toBe(4);
    expect(await keeper.entries("both")).toEqual(["a", "b", "c", "d"].map((letter) => `both ${letter}`));
    expect(await keeper.ask(forgotten, ["both"])).toEqual([]);
  });

  test("a replayed event may be told to wait", async () => {
    const consumer = await keeper.start();
    keeper.refused.add("later after earlier");
    await keeper.publish(keeper.add("patient", "later after earlier"));
    await keeper.settled();
    keeper.refused.clear();
    expect(await consumer.replayParked("patient", me)).toMatchObject({ handled: 1 });
    await keeper.publish(keeper.add("patient", "earlier"));
    await keeper.settled();
    expect(await keeper.entries("patient")).toEqual(["earlier", "later"]);
  });
});

describe("what is discarded", () => {
  const discarded = { id: null, key: null, reason: "the order is a test", by: me };
  const idOf = async (list: string, text: string) =>
    (await keeper.ask("SELECT event_id FROM parked WHERE key = $1 AND event->'data'->>'text' = $2", [list, text]))[0]
      .event_id as string;
  const resolutions = (list: string) =>
    keeper.ask("SELECT resolution, resolved_by FROM incidents WHERE subject = $1 ORDER BY opened_at", [list]);

  test("by its id is gone; who did it and why stays with the incident, which is open while there is more", async () => {
    const consumer = await keeper.start();
    await parkSome("one");
    const id = await idOf("one", "one a");
    expect(await consumer.discardParked({ ...discarded, id })).toMatchObject({ discarded: 1 });
    expect(await keeper.parked("one")).toEqual(["one b", "one c", "one d"]);
    const note = `${me} discarded payments.text-added.v1 ${id}: the order is a test`;
    expect(await keeper.openIncidents("one")).toHaveLength(1);
    expect(await resolutions("one")).toEqual([{ resolution: note, resolved_by: null }]);
    // What was behind it is handled in order; the last one can be discarded too, which ends it.
    expect(await consumer.replayParked("one", me)).toMatchObject({ handled: 2 });
    const last = await idOf("one", "one d");
    await consumer.discardParked({ ...discarded, id: last, reason: "so is this" });
    expect(await keeper.entries("one")).toEqual(["one b", "one c"]);
    expect(await keeper.openIncidents("one")).toEqual([]);
    const [incident] = await resolutions("one");
    expect(incident.resolved_by).toBe(me);
    expect(incident.resolution).toBe(`${note}; ${me} discarded payments.text-added.v1 ${last}: so is this`);
  });

  test("by its key is gone with all behind it, and later events of the key flow", async () => {
    const consumer = await keeper.start();
    await parkSome("whole");
    await parkSome("beside");
    expect(await consumer.discardParked({ ...discarded, key: "whole" })).toMatchObject({ discarded: 4 });
    expect(await keeper.parked("whole")).toEqual([]);
    expect(await keeper.openIncidents("whole")).toEqual([]);
    expect(await keeper.parked("beside")).toHaveLength(4);
    expect(await keeper.ask(forgotten, ["beside"])).toEqual([]);
    await keeper.publish(keeper.add("whole", "later"));
    await keeper.settled();
    expect(await keeper.entries("whole")).toEqual(["later"]);
    const counted = await keeper.metrics.registry.getSingleMetricAsString("crowdcrunch_events_discarded_total");
    expect(counted).toMatch(/type="payments\.text-added\.v1".*\} 6/);
    // Coming again does not bring it back.
    await consumer.discardParked({ ...discarded, key: "beside" });
  });

  test("while it is being replayed is handled or discarded, not both, and nothing is forgotten", async () => {
    const consumer = await keeper.start();
    await parkSome("contested");
    keeper.refused.clear();
    const [replayed, gone] = await Promise.all([
      consumer.replayParked("contested", me),
      consumer.discardParked({ ...discarded, key: "contested" }),
    ]);
    expect(replayed.handled + gone.discarded).toBe(4);
    expect(await keeper.entries("contested")).toHaveLength(replayed.handled);
    expect(await keeper.parked("contested")).toEqual([]);
    expect(await keeper.openIncidents("contested")).toEqual([]);
  });

  test("and is not parked, is nothing", async () => {
    const consumer = await keeper.start();
    expect(await consumer.discardParked({ ...discarded, id: keeper.newId() })).toMatchObject({ discarded: 0 });
    expect(await consumer.discardParked({ ...discarded, key: "unheard of" })).toMatchObject({ discarded: 0 });
  });
});

describe("incidents", () => {
  test("that of a parked event cannot be resolved while it is parked", async () => {
    await keeper.start();
    await parkSome("kept");
    const { nodes } = await listIncidents(keeper.db, { first: 100, after: null, resolvedToo: false });
    const incident = nodes.find(({ subject }) => subject === "kept")!;
    await expect(resolveIncident(keeper.db, incident.id, me, "seen")).rejects.toMatchObject({
      typename: "NotPossible",
    });
    expect(await keeper.ask(forgotten, ["kept"])).toEqual([]);
  });

  test("others are resolved once; the first resolution stays", async () => {
    const id = keeper.newId();
    await keeper.ask("INSERT INTO incidents VALUES ($1, 'REFUND_FAILED', 'refund', '')", [id]);
    expect(await resolveIncident(keeper.db, id, me, "paid by hand")).toMatchObject({ resolution: "paid by hand" });
    expect(await resolveIncident(keeper.db, id, "another", "again")).toMatchObject({
      resolvedBy: me,
      resolution: "paid by hand",
    });
    await expect(resolveIncident(keeper.db, keeper.newId(), me, "x")).rejects.toMatchObject({ typename: "NotFound" });
  });
});

test("a zero byte in an event keeps nobody from seeing, replaying and discarding it", async () => {
  const consumer = await keeper.start();
  keeper.refused.add("zero here");
  await keeper.publish(keeper.add("zero", "zero here"), keeper.add("zero", "behind it"));
  await keeper.settled();
  // Kafka takes it, the embedded log does not.
  await keeper.ask(`UPDATE parked SET event = replace(event::text, 'zero here', 'zero \\u0000')::json`);
  const { nodes } = await listParked(keeper.db, { first: 10, after: 0, key: "zero" });
  expect(nodes.map(({ type }) => type)).toEqual(["payments.text-added.v1", "payments.text-added.v1"]);
  const { id } = nodes[0]!;
  expect((await showParked(keeper.db, id))?.payload).toContain("zero \\u0000");
  expect(await consumer.replayParked("zero", me)).toMatchObject({ handled: 0 });
  const reason = "no text may have it";
  expect(await consumer.discardParked({ id, key: null, reason, by: me })).toMatchObject({ discarded: 1 });
  expect(await consumer.replayParked("zero", me)).toMatchObject({ handled: 1 });
  expect(await keeper.entries("zero")).toEqual(["behind it"]);
  expect(await keeper.openIncidents("zero")).toEqual([]);
});
