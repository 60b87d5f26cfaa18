import { expect, test } from "vitest";
import { bounded } from "./bounded.ts";
import { progressLine } from "./progress.ts";

test("a progress line tells what is done, how fast, and the time left, not counting what an earlier run did", () => {
  const line = (count: number, sinceStart: number, elapsedMs: number) =>
    progressLine("invoices", { count, total: 906, sinceStart, elapsedMs });
  expect(line(300, 0, 0)).toBe("invoices 300 of 906");
  expect(line(400, 100, 5_000)).toBe("invoices 400 of 906 · 20/s · 26 s left");
  expect(line(310, 10, 5_000)).toBe("invoices 310 of 906 · 2.0/s · 4 min 58 s left");
  expect(line(301, 1, 30_000)).toBe("invoices 301 of 906 · 0.0/s · 5 h 2 min left");
  expect(line(906, 606, 30_300)).toBe("invoices 906 of 906 · 20/s · 31 s");
});

test("bounded work takes no more at once than it may, and nothing more after a stop or a failure", async () => {
  const stop = new AbortController();
  let underWay = 0;
  let most = 0;
  const done: number[] = [];
  const work = async (item: number) => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setTimeout(resolve, 1));
    underWay--;
    done.push(item);
    if (item === 5) stop.abort();
  };
  const items = Array.from({ length: 20 }, (_, index) => index);
  await expect(bounded(items, 3, stop.signal, work)).rejects.toThrow("aborted");
  expect(most).toBe(3);
  expect(done.length).toBeLessThan(9);

  const failing = bounded(items, 3, new AbortController().signal, async (item) => {
    if (item === 2) throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
});
