import { expect, test } from "vitest";
import { mergedByTime, readableLine } from "./log-lines.ts";

test("a service's JSON becomes time, level, service, message and the rest as key=value", () => {
  const line = {
    level: "warn",
    time: "2026-03-01T10:20:30.456Z",
    service: "orders",
    orderId: "o1",
    tries: 3,
    why: "no stock",
    msg: "late",
  };
  expect(readableLine(JSON.stringify(line), "orders").text).toBe(
    '10:20:30.456 WARN  orders      late orderId=o1 tries=3 why="no stock"',
  );
});

test("text of several lines stands below its line", () => {
  const line = {
    level: "fatal",
    time: "2026-03-01T10:20:30.456Z",
    service: "orders",
    error: "Error: a\n  at b",
    msg: "cannot start",
  };
  expect(readableLine(JSON.stringify(line), "orders").text).toBe(
    "10:20:30.456 FATAL orders      cannot start\n    error: Error: a\n      at b",
  );
});

test("Postgres' own lines and broken JSON stay readable", () => {
  expect(readableLine("2026-03-01 10:20:30.456 UTC [7] LOG:  ready", "postgres")).toEqual({
    time: "2026-03-01T10:20:30.456Z",
    text: "10:20:30.456       postgres    [7] LOG:  ready",
  });
  expect(readableLine('{"level":', "orders").text).toMatch(/orders {6}\{"level":$/);
});

test("logs merge by time, and a line without one stays behind its own", () => {
  const merged = mergedByTime([
    [{ time: "2026-01-01T00:00:01Z", text: "a" }, { text: "a's trace" }, { time: "2026-01-01T00:00:04Z", text: "d" }],
    [{ time: "2026-01-01T00:00:02Z", text: "b" }],
  ]);
  expect(merged.map(({ text }) => text)).toEqual(["a", "a's trace", "b", "d"]);
});
