import { randomUUID } from "node:crypto";
import { Client } from "pg";
import { scenario } from "../scenario.ts";

/** The server ends an idle transaction of a service's role after this, in seconds; see the kit's bootstrap. */
const usualSeconds = 30;
/** The short run has its own session ended sooner. */
const shortSeconds = 10;
const farewell = "terminating connection due to idle-in-transaction timeout";

export default scenario({
  number: 28,
  name: "transaction-left-open",
  fault: "a transaction left open 10 min",
  hypothesis: "A transaction that somebody forgot holds up no event of the others, and the server ends it by itself.",
  expectation: "relay goes on; the session is ended",
  async run({ shop, points, inject, heal, fired, expect, until, count, short }) {
    const seconds = short ? shortSeconds : usualSeconds;
    const session = new Client({ connectionString: shop.databaseUrl("orders"), application_name: "forgotten" });
    let end: { code?: string } | undefined;
    session.on("error", (error) => (end ??= error as { code?: string }));
    await session.connect();
    try {
      const { rows } = await session.query("SHOW idle_in_transaction_session_timeout");
      const usual = (rows[0] as Record<string, string>)["idle_in_transaction_session_timeout"];
      expect(`sessions of orders end after ${usualSeconds} s in a transaction`, usual === `${usualSeconds}s`, usual);
      await session.query(`SET idle_in_transaction_session_timeout = '${seconds}s'`);
      const [opened] = (await session.query<{ at: Date }>("SELECT clock_timestamp() AS at")).rows;
      // An event with an early id that is never committed: whoever remembers how far he came would wait for it, or, once
      // it came, pass over it.
      await inject("a session writes an event and forgets its transaction", () =>
        session.query(
          `BEGIN; INSERT INTO outbox (event_id, type, key, subject, sequence, data)
           VALUES ('${randomUUID()}', 'orders.order-placed.v1', 'forgotten', 'forgotten', 1, '{}')`,
        ),
      );
      const beganMs = performance.now();
      const mark = await until("an event in the outbox", () => count("SELECT max(id) FROM orders.outbox"));
      await until(
        "that event in the log",
        async () => (await count("SELECT count(*) FROM orders.outbox WHERE id <= $1", [mark])) === 0,
      );
      expect("the relay passes by the open transaction", end === undefined);
      await until("a confirmed order", () =>
        count("SELECT count(*) FROM orders.orders WHERE placed_at > $1 AND status <> 'PENDING'", [opened!.at]),
      );
      expect("orders go on beside it", end === undefined);
      await until("the end of the session", () => end, seconds + 15);
      const tookSeconds = (performance.now() - beganMs) / 1_000;
      expect("the server ends it", end?.code === "25P03", end?.code);
      expect(`after ${seconds} s`, tookSeconds > seconds - 1, `${tookSeconds.toFixed(1)} s`);
      fired(points.logged("postgres", farewell), "Postgres ended a session that was idle in a transaction");
      await heal("the session is gone");
    } finally {
      await session.end().catch(() => {});
    }
    const left = await count("SELECT count(*) FROM orders.outbox WHERE key = 'forgotten'");
    expect("nothing of it is left", left === 0, left);
  },
});
