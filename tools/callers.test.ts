import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { callers, callersFile, callersText } from "./callers.ts";
import { faultsFolder, meshFaultFiles } from "./mesh-faults.ts";
import { repositoryRoot, serviceNames } from "./schemas.ts";

describe("the graph of callers", () => {
  const edges = callers();
  const services = serviceNames();

  test("is the one in the committed file", () => {
    expect(readFileSync(join(repositoryRoot, callersFile), "utf8")).toBe(callersText());
  });

  test("leads from the gateway to every service, to its database and to its events", () => {
    for (const service of services) {
      const [graph] = edges.find(({ from, to }) => from === "gateway" && to === service)?.operations ?? [];
      expect({ service, ...graph }).toEqual({ service, methods: ["POST"], paths: ["/graphql"], repeatable: false });
      const called = edges.filter(({ from }) => from === service).map(({ to }) => to);
      expect([service, ...called]).toEqual(expect.arrayContaining(["postgres", "kafka"]));
    }
  });

  test("knows no service that calls another: between them there are only events", () => {
    expect(edges.filter(({ from, to }) => services.includes(from) && services.includes(to))).toEqual([]);
  });

  test("lets nobody but payments call the provider with the shop's key, and the provider call nothing but the hook", () => {
    const withKey = edges.filter(
      ({ to, operations }) =>
        to === "provider" &&
        operations?.some(({ paths }) => paths.some((path) => /authorizations|operations/.test(path))),
    );
    expect(withKey.map(({ from }) => from)).toEqual(["payments"]);
    const hook = { methods: ["POST"], paths: ["/hooks/payments"], repeatable: false };
    expect(edges.find(({ from, to }) => from === "provider" && to === "gateway")?.operations).toEqual([hook]);
  });

  test("repeats nothing but GET and HEAD", () => {
    const repeated = edges.flatMap(({ operations = [] }) => operations.filter(({ repeatable }) => repeatable));
    expect(new Set(repeated.flatMap(({ methods }) => methods))).toEqual(new Set(["GET", "HEAD"]));
  });

  test("has each edge once", () => {
    const names = edges.map(({ from, to }) => `${from} ${to}`);
    expect(new Set(names).size).toBe(names.length);
  });
});

test("istio/faults has a delay and an abort for each service and for the provider, and nothing else", () => {
  const files = meshFaultFiles();
  const expected = [...serviceNames(), "provider"].flatMap((name) => [`${name}-abort.yaml`, `${name}-delay.yaml`]);
  expect(readdirSync(join(repositoryRoot, faultsFolder)).toSorted()).toEqual(expected.toSorted());
  const committed = [...files.keys()].map((file) => [file, readFileSync(join(repositoryRoot, file), "utf8")]);
  expect(committed).toEqual([...files]);
});
