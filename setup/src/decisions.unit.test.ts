import { generateSigningKey, publicKeyOf } from "@crowdcrunch/kit/signing-keys";
import { rolesOf, serviceNames } from "@crowdcrunch/shop/parts";
import { expect, test } from "vitest";
import { adminUrlOf } from "./database.ts";
import { keysOf, requestAuthenticationSpec } from "./public-keys.ts";
import { refuseOthersKeys } from "./rotation.ts";
import { faultOfSecret, keysOfSecret } from "./shop-secrets.ts";
import { privateKeysOf, publishedWith } from "./signing-keys.ts";
import { kubernetesUrl, labelsOf } from "./variables.ts";
import type { KeyConfig, SetupConfig } from "./variables.ts";

const roles = rolesOf(serviceNames);
const keys = keysOfSecret(roles, { adminPassword: false });
const complete = Object.fromEntries(keys.map((key) => [key, "abc-._~0"]));
const fault = (texts: Record<string, string>) => faultOfSecret("mine", texts, { keys, roles });
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64");
const secretOf = (data: Record<string, string>) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "mine" },
  data,
});

test("a Secret that was given must have all keys, which are named at once", () => {
  expect(fault(complete)).toBeUndefined();
  expect(keys).toContain("orders-owner-password");
  const { "orders-owner-password": _, ...rest } = complete;
  expect(fault({ ...rest, "download-secret": "" })).toMatch(
    /^The Secret mine has no orders-owner-password, download-secret: /,
  );
});

test("its passwords must be fit for a URL; the key is named and the password is not", () => {
  for (const password of ["a/b", "a b", "a@b", "a%41", "ä", "a$(B)"]) {
    const said = fault({ ...complete, "orders-password": password });
    expect(said).toMatch(/^In the Secret mine orders-password cannot stand in a URL: /);
    expect(said).not.toContain(password);
  }
  // What stands in no URL may be anything.
  expect(fault({ ...complete, "download-secret": "a/b c" })).toBeUndefined();
});

test("private keys are ES256 keys with an id, and are not repeated where they are none", async () => {
  const { privateKey, jwks } = await generateSigningKey();
  const next = (await generateSigningKey()).privateKey;
  expect(privateKeysOf(secretOf({ "signing-key.json": base64(privateKey) }))).toEqual({ signing: privateKey });
  const both = { "signing-key.json": base64(privateKey), "next-signing-key.json": base64(next) };
  expect(privateKeysOf(secretOf(both)).next).toEqual(next);
  const { kid: _, ...nameless } = privateKey;
  for (const wrong of [nameless, jwks.keys[0], { ...privateKey, crv: "P-384" }, "x"]) {
    const parse = () => privateKeysOf(secretOf({ "signing-key.json": base64(wrong) }));
    expect(parse).toThrow("signing-key.json of the Secret mine is not a private key for ES256");
    expect(parse).not.toThrow(privateKey.d);
  }
  expect(() => privateKeysOf(secretOf({}))).toThrow("signing-key.json of the Secret mine");
});

test("our keys are published beside those that are, and no private part of them", async () => {
  const [one, two] = await Promise.all([generateSigningKey(), generateSigningKey()]);
  const own = publicKeyOf(one.privateKey);
  expect(own).toEqual(one.jwks.keys[0]);
  expect(own).not.toHaveProperty("d");
  expect(publishedWith([], [own])).toEqual([own]);
  expect(publishedWith([{ ...own, x: "old" }, two.jwks.keys[0]!], [own])).toEqual([two.jwks.keys[0], own]);
  const spec = requestAuthenticationSpec([own], { tokens: "true" });
  expect(spec).toMatchObject({
    selector: { matchLabels: { tokens: "true" } },
    jwtRules: [{ issuer: "crowdcrunch", audiences: ["crowdcrunch"], jwks: JSON.stringify({ keys: [own] }) }],
  });
  expect(requestAuthenticationSpec([own], {})).not.toHaveProperty("selector");
});

test("a ConfigMap without a set of keys is named", () => {
  const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "jwks" } };
  for (const data of [undefined, { "jwks.json": "{" }, { "jwks.json": "{}" }]) {
    expect(() => keysOf({ ...map, ...(data ? { data } : {}) })).toThrow("The ConfigMap jwks has no set of keys");
  }
});

test("a key that others made is rotated by them: they are told each step, and the old one is retired", async () => {
  const [old, next] = (await Promise.all([generateSigningKey(), generateSigningKey()])).map(
    ({ privateKey }) => privateKey,
  );
  const ring = { signing: old!, published: [old!].map(publicKeyOf), publishedAtMs: 0, signingSinceMs: 0 };
  expect(() => refuseOthersKeys("mine", ring, 1_200, 0)).toThrow("as next-signing-key.json, beside");
  const publishing = { ...ring, next: next!, published: [old!, next!].map(publicKeyOf) };
  expect(() => refuseOthersKeys("mine", publishing, 1_200, 0)).toThrow(
    `The next one, ${next!.kid}, is published: from 1970-01-01T00:20:00.000Z on`,
  );
  const { next: _, ...switched } = { ...publishing, signing: next! };
  expect(() => refuseOthersKeys("mine", switched, 1_200, 0)).not.toThrow();
});

test("addresses and labels come out of variables", () => {
  const config = {
    KUBERNETES_SERVICE_HOST: "fd00::1",
    KUBERNETES_SERVICE_PORT: 443,
    POSTGRES_HOST: "db.example",
    POSTGRES_PORT: 6432,
    POSTGRES_ADMIN_USER: "an admin",
    POSTGRES_ADMIN_DATABASE: "postgres",
    POSTGRES_PARAMETERS: "sslmode=verify-full",
    LABELS: `{"app":"a"}`,
    ISTIO_SELECTOR_LABELS: `{"app":1}`,
  } as unknown as SetupConfig & KeyConfig;
  expect(kubernetesUrl(config)).toBe("https://[fd00::1]:443");
  const url = new URL(adminUrlOf(config, "p/w@x%"));
  expect([decodeURIComponent(url.username), decodeURIComponent(url.password)]).toEqual(["an admin", "p/w@x%"]);
  expect([url.host, url.pathname, url.search]).toEqual(["db.example:6432", "/postgres", "?sslmode=verify-full"]);
  expect(labelsOf(config, "LABELS")).toEqual({ app: "a" });
  expect(() => labelsOf(config, "ISTIO_SELECTOR_LABELS")).toThrow("ISTIO_SELECTOR_LABELS");
});
