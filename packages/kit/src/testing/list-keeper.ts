import type { EventOf } from "@crowdcrunch/events/contract";
import { event } from "@crowdcrunch/events/contract";
import Type from "typebox";
import { createConsumer, onEvents } from "../consumer.ts";
import type { ConsumerOptions, EventConsumer } from "../consumer.ts";
import type { Transaction } from "../database.ts";
import { statement } from "../database.ts";
import type { EventLog, EventRecord } from "../eventlog.ts";
import { createKitWorld, worldService } from "./kit-world.ts";
import type { KitWorld } from "./kit-world.ts";
import { until } from "./service.ts";

// A consumer small enough to see through: it keeps lists. Events of "payments" add a text to the list that is their key.

const topic = "payments";
const Added = Type.Object({ list: Type.String(), text: Type.String() });
export const added = event({ topic, name: "text-added", version: 1, key: "list", subject: "list" }, Added);
export type Added = EventOf<typeof added>;
/** What the keeper publishes for each text that it has put on a list. */
export const kept = event({ topic: worldService, name: "text-kept", version: 1, key: "list", subject: "list" }, Added);

/** Of no concern to the keeper. */
export const ofNoConcern = "payments.ledger-closed.v1";
const declared = [added, kept, { topic, name: "ledger-closed" }];

const tables = `
  CREATE TABLE entries (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    list text NOT NULL, text text NOT NULL, event_id uuid NOT NULL,
    transaction text NOT NULL DEFAULT pg_current_xact_id()::text);
  GRANT SELECT, INSERT ON entries TO :"role"`;
const entriesOf = statement<{ text: string }>("entriesOf", "SELECT text FROM entries WHERE list = $1");
const addEntry = statement("addEntry", "INSERT INTO entries (list, text, event_id) VALUES ($1, $2, $3)");

export interface ListKeeper extends KitWorld {
  /** Texts whose events cannot be handled. */
  refused: Set<string>;
  /** Runs before a batch is handled, within its transaction. */
  before: (tx: Transaction, events: Added[]) => Promise<void>;
  /** An event for the list; "b after a" waits until the list has "a". */
  add(list: string, text: string, more?: Partial<EventRecord>): EventRecord;
  /** Appends to the log, as the publisher. */
  publish(...events: EventRecord[]): Promise<void>;
  /** Lets the log remove what is older than so long. */
  keepFor(retentionMs: number): Promise<void>;
  /** Starts a consumer, which is stopped by `stop`; several are members of one group. */
  start(options?: Partial<ConsumerOptions>): Promise<EventConsumer>;
  stop(): Promise<void>;
  /** Waits until the consumers have dealt with all that was published. */
  settled(): Promise<void>;
  /** The texts of a list, in the order in which they were put there. */
  entries(list: string): Promise<string[]>;
  parked(list: string): Promise<string[]>;
  openIncidents(list: string): Promise<{ kind: string; detail: string }[]>;
}

/** On the log in its database, or on logs that `openLog` opens for a service and that are closed by whoever made them. */
export async function createListKeeper(openLog?: (service: string) => Promise<EventLog>): Promise<ListKeeper> {
  const world = await createKitWorld(tables);
  const open = openLog ?? (async (role: string) => world.openEventLog(role));
  const publisher = await open(topic);
  await publisher.ensureTopics([{ topic, partitions: 4 }]);
  const groupLog = await open(worldService);
  let running: EventConsumer[] = [];
  let sequence = 0;

  const handler = onEvents([added], async (tx, events) => {
    await keeper.before(tx, events);
    const wait: string[] = [];
    for (const { id, data } of events) {
      if (keeper.refused.has(data.text)) throw new Error(`${data.text} is refused`);
      const [text, after] = data.text.split(" after ");
      const present = new Set((await tx.many(entriesOf, [data.list])).map((row) => row.text));
      if (after !== undefined && !present.has(after)) wait.push(id);
      else {
        await tx.run(addEntry, [data.list, text, id]);
        tx.emit(kept.create({ list: data.list, text: text! }, { sequence: present.size + 1 }));
      }
    }
    return { wait };
  });

  const keeper: ListKeeper = {
    ...world,
    refused: new Set(),
    before: async () => {},
    add(list, text, more) {
      const emitted = added.create({ list, text }, { sequence: ++sequence });
      return { ...emitted, id: world.newId(), time: new Date().toISOString(), ...more };
    },
    publish: (...events) => publisher.append(topic, events),
    keepFor: (retentionMs) => publisher.ensureTopics([{ topic, partitions: 4, retentionMs }]),
    async start(options) {
      const eventLog = await open(worldService);
      const consumer = createConsumer({
        ...world,
        eventLog,
        group: worldService,
        handlers: [handler],
        declared,
        ...options,
      });
      running.push(consumer);
      await consumer.start();
      return consumer;
    },
    async stop() {
      await Promise.all(running.map((consumer) => consumer.stop()));
      running = [];
    },
    settled: () =>
      until(
        async () =>
          (await groupLog.lag(worldService, [topic])).every((partition) => partition.committed >= partition.end),
        "the end of the log",
      ),
    entries: async (list) =>
      (await world.ask("SELECT text FROM entries WHERE list = $1 ORDER BY position", [list])).map((row) => row.text),
    parked: async (list) =>
      (
        await world.ask("SELECT event->'data'->>'text' AS text FROM parked WHERE key = $1 ORDER BY position", [list])
      ).map((row) => row.text),
    openIncidents: (list) =>
      world.ask("SELECT kind, detail FROM incidents WHERE subject = $1 AND resolved_at IS NULL", [list]),
  };
  return keeper;
}
