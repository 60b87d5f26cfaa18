import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nextStep, rotateKeys, takeStep } from "@crowdcrunch/kit/key-rotation";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keyFiles } from "./key-rotation.ts";
import { ensureSecrets, jwksFile, signingKeyFile } from "./secrets.ts";

let varDir: string;
beforeEach(async () => {
  varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-rotation-"));
  await ensureSecrets(varDir, []);
});
afterEach(() => rmSync(varDir, { recursive: true }));

const read = (file: string) => JSON.parse(readFileSync(join(varDir, file), "utf8"));
const signing = (): string => read(signingKeyFile).kid;
const published = (): string[] => read(jwksFile).keys.map(({ kid }: { kid: string }) => kid);
const age = (file: string, seconds: number) => {
  const then = new Date(Date.now() - seconds * 1_000);
  utimesSync(join(varDir, file), then, then);
};
const stepAfter = async (waitSeconds: number) =>
  nextStep(await keyFiles(varDir).read(), { waitSeconds, nowMs: Date.now() });

test("a key is published, signs when its time has come, and the old one is retired when its tokens have ended", async () => {
  const old = signing();
  expect(await stepAfter(1_200)).toEqual({ name: "publish", waitMs: 0 });
  await takeStep(keyFiles(varDir), "publish");
  const [kept, next] = published();
  expect([signing(), kept]).toEqual([old, old]);

  const waiting = await stepAfter(1_200);
  expect(waiting.name).toBe("switch");
  expect(waiting.waitMs).toBeGreaterThan(1_190_000);
  age(jwksFile, 1_201);
  expect(await stepAfter(1_200)).toEqual({ name: "switch", waitMs: 0 });
  await takeStep(keyFiles(varDir), "switch");
  expect([signing(), published()]).toEqual([next, [old, next]]);

  // It counts from the switch, however long the key has been there.
  expect((await stepAfter(1_200)).waitMs).toBeGreaterThan(1_190_000);
  age(signingKeyFile, 1_201);
  expect(await stepAfter(1_200)).toEqual({ name: "retire", waitMs: 0 });
  await takeStep(keyFiles(varDir), "retire");
  expect([signing(), published()]).toEqual([next, [next]]);
  expect((await stepAfter(1_200)).name).toBe("publish");
  // No private parts among the published.
  expect(read(jwksFile).keys[0]).not.toHaveProperty("d");
  for (const file of [signingKeyFile, jwksFile]) expect(statSync(join(varDir, file)).mode & 0o777).toBe(0o600);
});

test("a rotation that was broken off goes on where it was", async () => {
  await takeStep(keyFiles(varDir), "publish");
  const [old, next] = published();
  // Broken off between the private and the public half: it begins again.
  writeFileSync(join(varDir, jwksFile), JSON.stringify({ keys: read(jwksFile).keys.slice(0, 1) }));
  expect((await stepAfter(0)).name).toBe("publish");
  await takeStep(keyFiles(varDir), "publish");
  expect(published()[0]).toBe(old);
  expect(published()).not.toContain(next);
  const said: string[] = [];
  await rotateKeys({ store: keyFiles(varDir), waitSeconds: 0, say: (sentence) => said.push(sentence) });
  expect(said).toHaveLength(2);
  expect(published()).toEqual([signing()]);
});

test("without keys, or with a broken file, it says so and does nothing", async () => {
  writeFileSync(join(varDir, jwksFile), "{");
  await expect(rotateKeys({ store: keyFiles(varDir), waitSeconds: 0, say: () => {} })).rejects.toThrow(
    "jwks.json is not JSON",
  );
  rmSync(join(varDir, jwksFile));
  await expect(rotateKeys({ store: keyFiles(varDir), waitSeconds: 0, say: () => {} })).rejects.toThrow("make up");
});
