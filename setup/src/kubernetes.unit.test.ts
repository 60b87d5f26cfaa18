import { afterEach, beforeEach, expect, test } from "vitest";
import { openKubernetes } from "./kubernetes.ts";
import type { Kubernetes } from "./kubernetes.ts";
import { ensureSecrets, keysOfSecret, secrets, textsOf } from "./shop-secrets.ts";
import { startApiServer } from "./testing/api-server.ts";
import type { ApiServer } from "./testing/api-server.ts";

let api: ApiServer;
let said: string[];
const open = (refusedForMs = 0): Promise<Kubernetes> =>
  openKubernetes({ ...api, say: (line) => void said.push(line), refusedForMs });
const secret = (name: string, stringData: Record<string, string>) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name },
  stringData,
});

beforeEach(async () => {
  said = [];
  api = await startApiServer();
});
afterEach(() => api.stop());

test("objects of the account's namespace are made once, changed where they are as they were read, and removed by uid", async () => {
  const kubernetes = await open();
  expect(kubernetes.namespace).toBe("shop");
  expect(await kubernetes.read(secrets, "mine")).toBeUndefined();
  expect(await kubernetes.create(secrets, secret("mine", { a: "1", b: "2" }))).toBe(true);
  expect(await kubernetes.create(secrets, secret("mine", { a: "other" }))).toBe(false);
  const read = (await kubernetes.read(secrets, "mine"))!;
  const metadata = { resourceVersion: read.metadata.resourceVersion };
  expect(await kubernetes.patch(secrets, "mine", { metadata, stringData: { a: "3" }, data: { b: null } })).toBe(true);
  expect(await kubernetes.patch(secrets, "mine", { metadata, stringData: { a: "late" } })).toBe(false);
  expect(textsOf((await kubernetes.read(secrets, "mine"))!)).toEqual({ a: "3" });
  expect(await kubernetes.patch(secrets, "nobody's", { metadata })).toBe(false);
  await kubernetes.remove(secrets, "mine", "another uid");
  expect(await kubernetes.read(secrets, "mine")).toBeDefined();
  await kubernetes.remove(secrets, "mine", read.metadata.uid!);
  expect(await kubernetes.read(secrets, "mine")).toBeUndefined();
  expect(api.calls[0]).toBe("GET /api/v1/namespaces/shop/secrets/mine");
});

test("the token is read again for every call, because the kubelet replaces it", async () => {
  const kubernetes = await open();
  await kubernetes.read(secrets, "mine");
  await api.setToken("second");
  expect(await kubernetes.read(secrets, "mine")).toBeUndefined();
});

test("an API that fails or is busy is asked again, and a refusal is a sentence with the way out", async () => {
  const kubernetes = await open();
  api.failNext(503, 429);
  expect(await kubernetes.read(secrets, "mine")).toBeUndefined();
  expect(said).toEqual([
    "Waiting for the Kubernetes API to read secrets/mine: fails with 503",
    "Waiting for the Kubernetes API to read secrets/mine: fails with 429",
  ]);
  api.failNext(403);
  await expect(kubernetes.read(secrets, "mine")).rejects.toThrow(/refuses to read secrets\/mine: .* helm upgrade/);
  api.failNext(422);
  await expect(kubernetes.create(secrets, secret("mine", {}))).rejects.toThrow("refuses to create secrets/mine");
  const account = await open(10_000);
  // The rights of a new account come a moment after it.
  api.failNext(403);
  expect(await account.read(secrets, "mine")).toBeUndefined();
});

test("a Secret that two make at once is one Secret, and what a later version needs is added", async () => {
  const options = { kubernetes: await open(), name: "shop-secrets", make: true, labels: {}, adminPassword: true };
  const make = (roles: string[]) => ensureSecrets({ ...options, roles, say: (line) => void said.push(line) });
  const [one, other] = await Promise.all([make(["orders"]), make(["orders"])]);
  expect(one).toEqual(other);
  expect(Object.keys(one!).sort()).toEqual(keysOfSecret(["orders"], { adminPassword: true }).sort());
  const [more, same] = await Promise.all([make(["orders", "reviews"]), make(["orders", "reviews"])]);
  expect(more).toEqual(same);
  expect(more).toMatchObject(one!);
  expect(Object.keys(more!)).toContain("reviews-password");
  expect(said).toEqual(["The Secret shop-secrets has been made.", "The Secret shop-secrets has got reviews-password."]);
  // No secret is ever told.
  for (const value of Object.values(more!)) expect(said.join("\n")).not.toContain(value);
});
