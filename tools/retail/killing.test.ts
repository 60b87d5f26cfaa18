import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { chosenKilling, killedInWords, startKilling } from "./killing.ts";

test("what is to be killed is chosen by KILL_SECONDS and SEED", () => {
  expect(chosenKilling({})).toBeUndefined();
  expect(chosenKilling({ KILL_SECONDS: "5" })).toEqual({ everySeconds: 5, seed: 1 });
  expect(chosenKilling({ KILL_SECONDS: "0.5", SEED: "7" })).toEqual({ everySeconds: 0.5, seed: 7 });
  expect(() => chosenKilling({ KILL_SECONDS: "often" })).toThrow('KILL_SECONDS is "often"');
  expect(() => chosenKilling({ KILL_SECONDS: "0" })).toThrow("KILL_SECONDS");
  expect(() => chosenKilling({ KILL_SECONDS: "5", SEED: "x" })).toThrow('SEED is "x"');
});

const noLine = { tick() {}, end() {} };

test("the broker is killed at a third and at two thirds of what is left of the invoices, and only then", async () => {
  const told: string[] = [];
  let downFor = 1;
  const shop = {
    kafka: true,
    // Once it is asked for while it is on its way up.
    kill(name: string) {
      if (name === "kafka" && downFor-- > 0) throw new Error("kafka does not run");
    },
  };
  const killing = startKilling(shop, { everySeconds: 1_000, seed: 1 }, (sentence) => told.push(sentence));
  const start = killing.watched(() => noLine);
  const returns = start("returns", 90, 0);
  for (let done = 0; done < 90; done++) returns.tick();
  const invoices = start("invoices", 100, 10);
  for (let done = 0; done < 29; done++) invoices.tick();
  expect(told).toEqual([]);
  invoices.tick();
  await sleep(150);
  expect(told).toEqual(["Killed kafka."]);
  for (let done = 0; done < 60; done++) invoices.tick();
  expect(await killing.stop()).toEqual(new Map([["kafka", 2]]));
});

test("the same seed kills the same services, one that is down excepted; a shop on the embedded log has no broker", async () => {
  async function killedBy(seed: number, down?: string): Promise<string[]> {
    const killed: string[] = [];
    const shop = {
      kafka: false,
      kill(name: string) {
        if (name === down) throw new Error("it does not run");
        killed.push(name);
      },
    };
    const killing = startKilling(shop, { everySeconds: 0.001, seed }, () => {});
    const invoices = killing.watched(() => noLine)("invoices", 3, 0);
    for (let done = 0; done < 3; done++) invoices.tick();
    while (killed.length < 12) await sleep(1);
    await killing.stop();
    return killed.slice(0, 12);
  }
  const first = await killedBy(1);
  expect(await killedBy(1)).toEqual(first);
  expect(await killedBy(2)).not.toEqual(first);
  expect(new Set(first).size).toBeGreaterThan(3);
  expect(await killedBy(1, first[0])).not.toContain(first[0]);
});

test("what was killed is told in words", () => {
  expect(killedInWords(new Map())).toBe("nothing");
  expect(
    killedInWords(
      new Map([
        ["orders", 1],
        ["kafka", 2],
      ]),
    ),
  ).toBe("orders once, kafka 2 times");
});
