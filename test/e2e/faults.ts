import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { faultPoints } from "@crowdcrunch/kit/fault-points";
import { faultControl, faultyProcesses } from "@crowdcrunch/tools/fault-control";
import { repositoryRoot } from "@crowdcrunch/tools/schemas";
import { beforeAll, describe, expect, test } from "vitest";
import { openPurchases } from "./purchases.ts";
import type { Article, Shopper, WholeShop } from "./whole-shop.ts";

/** Where a purchase passes each point, by something that only a purchase does. */
const kills: [name: string, point: keyof typeof faultPoints, match: string][] = [
  ["gateway", "graphql.request", "placeOrder"],
  ["gateway", "gateway.fetch", "orders"],
  ["orders", "graphql.request", "placeOrder"],
  ["orders", "transaction.before-commit", "orders.order-placed"],
  ["orders", "transaction.after-commit", "orders.order-placed"],
  ["orders", "relay.before-append", "orders.order-placed"],
  ["orders", "relay.after-append", "orders.order-placed"],
  ["inventory", "consumer.in-handler", "orders.order-placed"],
  ["inventory", "consumer.after-commit", "orders.order-placed"],
  ["payments", "provider.before-call", ":AUTHORIZE:"],
  ["payments", "provider.during-call", ":AUTHORIZE:"],
  ["payments", "provider.after-call", ":AUTHORIZE:"],
  ["provider", "provider-api.before-execute", ":AUTHORIZE:"],
  ["provider", "provider-api.after-execute", ":AUTHORIZE:"],
];

/** Kills at each point at which a process can be killed, and the tool that sets faults. Declares the tests. */
export function faultTests(open: () => WholeShop): void {
  let world: WholeShop;
  let article: Article;
  let shopper: Shopper;

  beforeAll(async () => {
    world = open();
    [article, shopper] = await Promise.all([world.article(1_000), world.shopper()]);
  });

  /** Buys as a shopper who does not give up: the same key until there is an order. Resolves once it is confirmed. */
  async function buy(): Promise<void> {
    const purchases = openPurchases(world);
    const idempotencyKey = randomUUID();
    const giveUpAtMs = performance.now() + 60_000;
    for (;;) {
      const answer = await purchases
        .place(shopper, [article], { idempotencyKey })
        .catch((error: Error) => ({ __typename: "nothing", message: error.message, order: undefined }));
      if (answer.__typename === "OrderPlaced") {
        await purchases.reach(answer["order"].number as string, shopper, "CONFIRMED");
        break;
      }
      if (performance.now() > giveUpAtMs) throw new Error(`no order: ${answer.__typename}, ${answer.message}`);
      await sleep(200);
    }
    const { rows } = await world.books.query("SELECT FROM orders.orders WHERE idempotency_key = $1", [idempotencyKey]);
    expect(rows).toHaveLength(1);
  }

  /** The last line of a process' log that tells of a fault. */
  async function lastFired(name: string): Promise<Record<string, unknown> | undefined> {
    const text = await readFile(join(world.shop.varDir, `log/${name}.log`), "utf8");
    const lines = text.split("\n").filter((line) => line.includes('"fault fired"'));
    return lines.length > 0 ? (JSON.parse(lines.at(-1)!) as Record<string, unknown>) : undefined;
  }

  describe("killed in the middle of a purchase, which arrives all the same:", () => {
    test("every point at which a process can be killed is tried", () => {
      const points = Object.entries(faultPoints).filter(([, { actions }]) => actions.includes("kill"));
      expect(points.map(([point]) => point).sort()).toEqual([...new Set(kills.map(([, point]) => point))].sort());
    });

    test.each(kills)("%s at %s", async (name, point, match) => {
      const { shop } = world;
      await shop.untilReady(30_000);
      const restartsBefore = shop.restartsOf(name);
      await faultControl(shop).set(name, [{ point, action: "kill", match }]);
      await buy();
      expect(shop.restartsOf(name)).toBe(restartsBefore + 1);
      expect(await lastFired(name)).toMatchObject({ point, action: "kill", detail: expect.stringContaining(match) });
    });
  });

  test("a connection lost at COMMIT: the key tells that there is one order", async () => {
    const control = faultControl(world.shop);
    const cut = { point: "transaction.before-commit", action: "cut", match: "orders.order-placed", times: 1 };
    await control.set("orders", [cut]);
    await buy();
    expect(await control.list("orders")).toMatchObject([{ ...cut, fired: 1 }]);
  });

  describe("make faults", () => {
    const run = promisify(execFile);
    async function faults(variables: Record<string, string>): Promise<{ code: number; text: string }> {
      const { varDir, portOffset } = world.shop;
      const env = { ...process.env, CROWDCRUNCH_VAR: varDir, PORT_OFFSET: String(portOffset), ...variables };
      const options = { cwd: repositoryRoot, env };
      return run(process.execPath, ["tools/faults.ts"], options).then(
        ({ stdout }) => ({ code: 0, text: stdout }),
        (error: { code: number; stdout: string; stderr: string }) => ({
          code: error.code,
          text: error.stdout + error.stderr,
        }),
      );
    }

    test("sets, lists and clears, in services, provider and gateway", async () => {
      for (const [SERVICE, SET] of [
        ["payments", "provider.after-call:delay:delayMs=1,rate=0.5,seed=3"],
        ["provider", "provider-api.after-execute:delay:delayMs=2"],
        ["gateway", "gateway.fetch:delay:delayMs=3,match=orders"],
      ] as const)
        expect(await faults({ SERVICE, SET })).toMatchObject({
          code: 0,
          text: expect.stringMatching(/fired \d of \d passes/),
        });
      const { text } = await faults({});
      for (const point of Object.keys(faultPoints)) expect(text).toContain(`\n${point}  `.trimStart());
      // What an earlier test left to do may pass meanwhile.
      expect(text).toMatch(
        /^payments {2}provider\.after-call:delay:rate=0\.5,delayMs=1,seed=3 {2}fired \d of \d passes$/m,
      );
      expect(text).toMatch(/^provider {2}provider-api\.after-execute:delay:/m);
      expect(text).toMatch(/^gateway {2}gateway\.fetch:delay:/m);
      expect(text).toMatch(/^orders {2}nothing is set$|^orders {2}transaction\.before-commit:cut:/m);
      expect((await faults({ CLEAR: "1" })).code).toBe(0);
      const cleared = (await faults({})).text;
      for (const name of faultyProcesses) expect(cleared).toContain(`${name}  nothing is set`);
    });

    test("says what is wrong", async () => {
      expect(await faults({ SERVICE: "bakery", CLEAR: "1" })).toMatchObject({
        code: 1,
        text: expect.stringContaining('There is no process "bakery"'),
      });
      expect(await faults({ SET: "graphql.request:error" })).toMatchObject({
        code: 1,
        text: expect.stringContaining("Say in which process"),
      });
      expect(await faults({ SERVICE: "orders", SET: "graphql.request:burn" })).toMatchObject({
        code: 1,
        text: expect.stringContaining("no such action at this point"),
      });
    });
  });
}
