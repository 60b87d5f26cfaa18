import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { ISocketFactory } from "kafkajs";
import type { Pool } from "pg";
import type { EventLog } from "../eventlog.ts";
import { kafkaEventLog } from "../eventlog-kafka.ts";
import type { KafkaEventLogOptions } from "../eventlog-kafka.ts";
import { createLogger } from "../logger.ts";
import type { EventLogWorld } from "./eventlog-world.ts";
import { createOutbox, quietPool } from "./postgres-eventlog-world.ts";
import { createDatabase } from "./postgres.ts";

export interface KafkaEventLogWorld extends EventLogWorld {
  /** What its topics and groups begin with. */
  prefix: string;
  open(service: string, more?: Partial<KafkaEventLogOptions>): Promise<EventLog>;
}

/** Topics and groups of their own on a Kafka, and outboxes for these services. Each opened log can be cut off. */
export async function createKafkaEventLogWorld(
  brokers: string[],
  services: string[],
  options: Partial<KafkaEventLogOptions> = {},
): Promise<KafkaEventLogWorld> {
  const testDatabase = await createDatabase();
  for (const service of services) await createOutbox(testDatabase, service);
  const log = createLogger({ service: "test", level: "silent" });
  const prefix = `test-${randomBytes(5).toString("hex")}`;
  const pools = new Map<string, Pool>();
  const opened = new Map<EventLog, { wire: Wire; pool: Pool }>();

  return {
    prefix,
    async open(service, more = {}) {
      const pool = quietPool(testDatabase.url(service), 2);
      const wire = createWire();
      const eventLog = kafkaEventLog({
        ...{ pool, service, log, sessionMs: 1_500, pollMs: 200, backoff: { firstMs: 20, mostMs: 200 } },
        ...{ ...options, ...more },
        kafka: { brokers, prefix, socketFactory: wire.connect },
      });
      opened.set(eventLog, { wire, pool });
      return eventLog;
    },
    cut: (eventLog) => opened.get(eventLog)!.wire.cut(),
    async crash(eventLog) {
      opened.get(eventLog)!.wire.sever();
    },
    database(service) {
      const pool = pools.get(service) ?? quietPool(testDatabase.url(service), 6);
      pools.set(service, pool);
      return pool;
    },
    async close() {
      // Handlers of a member that died never end, so only the others are waited for.
      const ended = [...opened].map(async ([eventLog, { wire, pool }]) => {
        await Promise.race([eventLog.close(), new Promise((resolve) => setTimeout(resolve, 1_000))]);
        wire.sever();
        await pool.end();
      });
      await Promise.all([...ended, ...[...pools.values()].map((pool) => pool.end())]);
      await testDatabase.drop();
    },
  };
}

/** The connections of one log. */
interface Wire {
  connect: ISocketFactory;
  /** Breaks the connections; new ones are let through. */
  cut(): void;
  /** Breaks the connections and lets none through any more. */
  sever(): void;
}

const closedPort = 1;

function createWire(): Wire {
  const sockets = new Set<Socket>();
  let severed = false;

  function cut(): void {
    // As a broker's reset looks like; kafkajs does not notice a socket that is closed from this side.
    for (const socket of sockets) socket.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
  }

  return {
    connect({ host, port, onConnect }) {
      const socket = connect({ host, port: severed ? closedPort : port }, onConnect);
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      return socket;
    },
    cut,
    sever() {
      severed = true;
      cut();
    },
  };
}
