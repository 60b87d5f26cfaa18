import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { alone } from "./alone.ts";

let folder: string;
let lock: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "alone-"));
  lock = join(folder, "work.lock");
});
afterEach(() => rmSync(folder, { recursive: true }));

const silent = () => {};

test("whoever is second waits, is told for whom, and leaves no lock behind", async () => {
  const order: string[] = [];
  const told: string[] = [];
  const first = alone(lock, silent, async () => {
    await sleep(300);
    order.push("first");
  });
  await alone(
    lock,
    (sentence) => told.push(sentence),
    async () => void order.push("second"),
  );
  await first;
  expect(order).toEqual(["first", "second"]);
  expect(told).toEqual([`Waiting for process ${process.pid}, which holds ${lock} …`]);
  expect(existsSync(lock)).toBe(false);
});

test("work that fails gives its lock back", async () => {
  await expect(alone(lock, silent, () => Promise.reject(new Error("no disk")))).rejects.toThrow("no disk");
  expect(await alone(lock, silent, async () => "done")).toBe("done");
});

test("the lock of a process that is gone counts for nothing", async () => {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  writeFileSync(lock, String(pid));
  expect(await alone(lock, silent, async () => "done")).toBe("done");
});

test("waiting has an end that names the process and the file", async () => {
  writeFileSync(lock, String(process.pid));
  const waiting = alone(lock, silent, async () => "never", 0.005);
  await expect(waiting).rejects.toThrow(`Process ${process.pid} has held ${lock}`);
});
