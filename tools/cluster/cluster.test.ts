import { networkInterfaces } from "node:os";
import { expect, test } from "vitest";
import { whyLocal } from "./cluster.ts";

test.each([
  ["docker-desktop", "https://kubernetes.docker.internal:6443"],
  ["minikube", "https://192.168.49.2:8443"],
  ["kind-shop", "https://127.0.0.1:40123"],
  ["cluster", "https://127.0.0.1:6443"],
  ["cluster", "https://[::1]:6443"],
  ["cluster", "https://localhost:6443"],
])("%s at %s is on this machine", (context, server) => {
  expect(whyLocal(context, server)).toBeDefined();
});

test("an API server at an address of this machine is on it", () => {
  const [own] = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  expect(whyLocal("cluster", `https://${own!.family === "IPv6" ? `[${own!.address}]` : own!.address}:6443`)).toContain(
    own!.address,
  );
});

test.each([
  ["production", "https://api.shop.example:6443"],
  ["kindergarten", "https://203.0.113.7:6443"],
  ["cluster", "https://127.example.org"],
])("%s at %s may be anywhere", (context, server) => {
  expect(whyLocal(context, server)).toBeUndefined();
});
