import { expect, test } from "vitest";
import { createMetrics } from "@crowdcrunch/kit/metrics";
import { createPasswords } from "./passwords.ts";

const metrics = () => createMetrics({ service: "users", processMetrics: false });

test("a password is stored as argon2id with 19 MiB and two passes, and salted", async () => {
  const passwords = createPasswords({ mostWaiting: 4, metrics: metrics() });
  const hash = await passwords.hash("correct horse battery");
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await passwords.hash("correct horse battery")).not.toBe(hash);
  expect(await passwords.verify(hash, "correct horse battery")).toBe(true);
  expect(await passwords.verify(hash, "correct horse batterx")).toBe(false);
  expect(await passwords.verify(null, "correct horse battery")).toBe(false);
});

test("beyond the queue callers are told to come back, and the queue moves on", async () => {
  const passwords = createPasswords({ mostWaiting: 3, metrics: metrics() });
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => passwords.hash("correct horse battery")));
  expect(results.map(({ status }) => status)).toEqual([
    ...["fulfilled", "fulfilled", "fulfilled"],
    ...["rejected", "rejected", "rejected"],
  ]);
  expect(results[3]).toMatchObject({ reason: { code: "BUSY", retryAfterMs: 1_000 } });
  expect(await passwords.hash("correct horse battery")).toContain("argon2id");
});
