import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { statement } from "./database.ts";
import type { Transaction } from "./database.ts";
import { canonicalJson, idempotent, idempotentWithResult, requireUuid } from "./idempotency.ts";
import { createKitWorld } from "./testing/kit-world.ts";
import type { KitWorld } from "./testing/kit-world.ts";

const pay = statement("pay", "INSERT INTO payments_made (call) VALUES ($1)");
const impatient = statement("impatient", "SET LOCAL lock_timeout = '50ms'");

let world: KitWorld;
beforeAll(async () => {
  world = await createKitWorld(
    `CREATE TABLE payments_made (call text NOT NULL); GRANT SELECT, INSERT ON payments_made TO :"role"`,
  );
});
afterAll(() => world.close());

interface Answer {
  number: string;
}

/** Both forms, with the same arguments. */
const forms = {
  idempotent: (tx: Transaction, call: Parameters<typeof idempotent>[1], answer: Answer, work: () => Promise<void>) =>
    idempotent(tx, call, async () => (await work(), answer)),
  idempotentWithResult,
};

async function effects(key: string): Promise<number> {
  return (await world.ask("SELECT FROM payments_made WHERE call = $1", [key])).length;
}

describe.each(["idempotent", "idempotentWithResult"] as const)("%s", (form) => {
  /** Pays once for the key. */
  function call(
    key: string,
    more: {
      principal?: string;
      operation?: string;
      request?: unknown;
      within?: (tx: Transaction) => Promise<unknown>;
    } = {},
  ): Promise<Answer> {
    const { principal = "me", operation = "pay", request = { amount: 5, to: "you" }, within } = more;
    return world.db.transaction((tx) =>
      forms[form](tx, { principal, operation, key, request }, { number: randomUUID() }, async () => {
        await tx.run(pay, [key]);
        await within?.(tx);
      }),
    );
  }

  test("the same key gets the same result, and one effect", async () => {
    const key = randomUUID();
    const first = await call(key);
    expect(await call(key)).toEqual(first);
    expect(await call(key.toUpperCase(), { request: { to: "you", amount: 5, note: undefined } })).toEqual(first);
    expect(await effects(key)).toBe(1);
  });

  test("with another request it is KeyReused, without effect", async () => {
    const key = randomUUID();
    await call(key);
    await expect(call(key, { request: { amount: 6, to: "you" } })).rejects.toMatchObject({ typename: "KeyReused" });
    expect(await effects(key)).toBe(1);
  });

  test("the keys of other people and other operations do not meet", async () => {
    const key = randomUUID();
    const answers = [
      await call(key),
      await call(key, { principal: "another" }),
      await call(key, { operation: "refund" }),
    ];
    expect(new Set(answers.map(({ number }) => number)).size).toBe(3);
  });

  test("many at once have one effect and one result", async () => {
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 8 }, () => call(key)));
    expect(new Set(answers.map(({ number }) => number)).size).toBe(1);
    expect(await effects(key)).toBe(1);
  });

  test("what failed left no key behind: the next attempt is the first", async () => {
    const key = randomUUID();
    const failing = call(key, { within: () => Promise.reject(new Error("no money")) });
    await expect(failing).rejects.toThrow("no money");
    expect(await effects(key)).toBe(0);
    await call(key);
    expect(await effects(key)).toBe(1);
  });

  test("a key whose call is still running is IN_PROGRESS", async () => {
    const key = randomUUID();
    await call(key, {
      within: async () => {
        const second = world.db.transaction(async (tx) => {
          await tx.run(impatient);
          const request = { amount: 5, to: "you" };
          return forms[form](tx, { principal: "me", operation: "pay", key, request }, { number: "2" }, async () => {});
        });
        await expect(second).rejects.toMatchObject({ code: "IN_PROGRESS" });
      },
    });
    expect(await effects(key)).toBe(1);
  });

  test("a key that is no UUID is refused by name", async () => {
    await expect(call("1")).rejects.toMatchObject({ typename: "InvalidInput", fields: { field: "idempotencyKey" } });
  });
});

test("ids are UUIDs, in lower case", () => {
  expect(requireUuid("0190A5C0-0000-7000-8000-00000000000F", "id")).toBe("0190a5c0-0000-7000-8000-00000000000f");
  for (const bad of ["", "0190a5c0000070008000000000000001", "0190a5c0-0000-7000-8000-00000000000g", " "])
    expect(() => requireUuid(bad, "id")).toThrow("a UUID is expected");
});

test("equal requests have equal text, and different ones do not", () => {
  expect(canonicalJson({ b: [{ d: 1, c: undefined }], a: null })).toBe(canonicalJson({ a: null, b: [{ d: 1 }] }));
  expect(canonicalJson({ a: [1, 2] })).not.toBe(canonicalJson({ a: [2, 1] }));
  expect(canonicalJson({ a: null })).not.toBe(canonicalJson({}));
});
