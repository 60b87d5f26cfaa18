import { auditShop } from "@crowdcrunch/auditor/audit";
import { serviceNames as services } from "@crowdcrunch/shop/parts";
import { openLog } from "@crowdcrunch/auditor/log";
import { readConfig } from "@crowdcrunch/kit/config";
import type { DeliveredEvent } from "@crowdcrunch/kit/eventlog";
import { openEventLog } from "@crowdcrunch/kit/eventlogs";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { eventLogVariables } from "@crowdcrunch/kit/variables";
import { Client, Pool } from "pg";
import Type from "typebox";
import type { LogPlant } from "./log-plants.ts";
import { insertWorld, migrateAll } from "./world.ts";

/** A consistent shop to copy, with its events. */
export interface AuditedWorld {
  /** Plants something in a copy of the shop, whose events are in the log of these variables, and audits all of it. */
  auditOf(plant: LogPlant, env: Record<string, string>): Promise<{ violated: number[]; lines: string[] }>;
  drop(): Promise<void>;
}

const partitions = 2;
const log = createLogger({ service: "test", level: "silent" });

export async function createAuditedWorld(): Promise<AuditedWorld> {
  const database = await createDatabase();
  await migrateAll(database.url, log);
  const completed = await asSuperuser(database, async (admin) => {
    await insertWorld(admin, { orders: 32, products: 7 });
    return (await admin.query<{ id: string }>("SELECT id FROM orders.orders WHERE number = 'W-1'")).rows[0]!.id;
  });
  const events = await readAll(database);

  return {
    async auditOf(plant, env) {
      const copy = await createDatabase(undefined, database.name);
      try {
        if (plant.sql !== undefined) await asSuperuser(copy, (admin) => inTransaction(admin, plant.sql!));
        await asSuperuser(copy, (admin) => admin.query("TRUNCATE eventlog.events, eventlog.topics CASCADE"));
        await appendAll(copy, plant.events?.(events, { completed }) ?? events, env);
        const lines: string[] = [];
        const say = (line: string) => void lines.push(line);
        await auditShop({ url: copy.url("auditor"), env, windowSeconds: 0, say, quiet: true });
        const violated = lines.flatMap((line) => /^ ?(\d+) VIOLATED/.exec(line)?.[1] ?? []).map(Number);
        return { violated, lines };
      } finally {
        await copy.drop();
      }
    },
    drop: () => database.drop(),
  };
}

async function asSuperuser<Result>(database: TestDatabase, work: (admin: Client) => Promise<Result>): Promise<Result> {
  const admin = new Client({ connectionString: database.adminUrl });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

function inTransaction(admin: Client, sql: string): Promise<unknown> {
  return admin.query(`BEGIN;\n${sql};\nCOMMIT`);
}

async function readAll(database: TestDatabase): Promise<DeliveredEvent[]> {
  const eventLog = await openLog({ url: database.url("auditor"), env: {}, log });
  try {
    const events: DeliveredEvent[] = [];
    for (const topic of services) for await (const event of eventLog.read(topic)) events.push(event);
    return events;
  } finally {
    await eventLog.close();
  }
}

/** Appends events as their publishers do. */
async function appendAll(database: TestDatabase, events: DeliveredEvent[], env: Record<string, string>): Promise<void> {
  const config = readConfig(Type.Object(eventLogVariables), env);
  for (const [topic, own] of Map.groupBy(events, (event) => event.topic)) {
    const databaseUrl = database.url(topic);
    const pool = new Pool({ connectionString: databaseUrl, max: 1 });
    const publisher = await openEventLog({ config, service: topic, log, pool, databaseUrl });
    try {
      await publisher.ensureTopics([{ topic, partitions }]);
      await publisher.append(topic, own);
    } finally {
      await publisher.close();
      await pool.end();
    }
  }
}
