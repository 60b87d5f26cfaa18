import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { repositoryRoot, serviceNames } from "../schemas.ts";
import { buildOptions } from "./build.ts";
import { builderBeside, chooseBuilder } from "./builder.ts";
import { wayInto } from "./load.ts";
import { pageOf } from "./origin.ts";
import { chosenParts, chosenRegistry, chosenTag, imageName, imageParts } from "./parts.ts";

const folder = mkdtempSync(join(tmpdir(), "crowdcrunch-images-"));
afterAll(() => rmSync(folder, { recursive: true }));

const read = (file: string) => readFileSync(join(repositoryRoot, file), "utf8");
const orders = { name: "orders", folder: "services/orders" };
const origin = { revision: "4a1f", created: "2026-01-02T03:04:05+00:00", source: "https://git.example/shop" };

test("every service has an image, as have the gateway, the provider and the auditor", () => {
  const parts = imageParts();
  const names = parts.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining([...serviceNames(), "gateway", "provider", "auditor"]));
  expect(names).not.toEqual(expect.arrayContaining(["tools"]));
  expect(new Set(names).size).toBe(names.length);
  expect(parts.find(({ name }) => name === "orders")).toEqual(orders);
});

test("a new service has an image as soon as its folder is there", () => {
  for (const part of ["services/reviews", "gateway", "tools"])
    mkdirSync(join(folder, part, part === "tools" ? "." : "src"), { recursive: true });
  for (const part of ["services/reviews", "gateway"]) writeFileSync(join(folder, part, "src/main.ts"), "");
  expect(imageParts(folder)).toEqual([
    { name: "gateway", folder: "gateway" },
    { name: "reviews", folder: "services/reviews" },
  ]);
});

test("the builder gets the folder of every part", () => {
  const given = read("docker/Dockerfile.dockerignore").split("\n");
  const missing = imageParts().filter(({ folder: part }) => !given.includes(`!${part.split("/")[0]}`));
  expect(missing).toEqual([]);
});

test("images install with the pnpm and run on the Node of the project", () => {
  const dockerfile = read("docker/Dockerfile");
  const pnpm = /^PNPM := .*pnpm@([\d.]+)$/m.exec(read("GNUmakefile"))![1]!;
  const node = /^ {2}node: ([\d.]+)$/m.exec(read("pnpm-workspace.yaml"))![1]!;
  expect(dockerfile).toContain(`ARG PNPM_VERSION=${pnpm}\n`);
  expect(dockerfile).toContain(`ARG NODE_IMAGE=node:${node}-`);
});

test("the Dockerfile needs nothing that an older BuildKit lacks", () => {
  expect(read("docker/Dockerfile")).not.toMatch(/^# *syntax|<<|COPY.* --(link|parents|exclude)/m);
});

test("some parts can be chosen, and an unknown one is refused", () => {
  const parts = [orders, { name: "gateway", folder: "gateway" }];
  expect(chosenParts(undefined, parts)).toEqual(parts);
  expect(chosenParts("gateway", parts)).toEqual([parts[1]]);
  expect(chosenParts("gateway, orders", parts)).toEqual(parts);
  expect(() => chosenParts("gateway,basket", parts)).toThrow(
    "PARTS names basket; the parts with an image are orders, gateway.",
  );
});

test("the tag is the project's version or the given one, which must not move", () => {
  expect(chosenTag(undefined)).toMatch(/^\d+\.\d+\.\d+$/);
  expect(read("Chart.yaml")).toContain(`\nappVersion: ${chosenTag(undefined)}\n`);
  expect(chosenTag("1.4.0-rc.1")).toBe("1.4.0-rc.1");
  expect(() => chosenTag("latest")).toThrow("TAG is latest, by which nobody knows what runs");
  expect(() => chosenTag("a b")).toThrow('TAG is "a b"');
});

test("names begin with the registry where there is one", () => {
  expect(imageName(orders, "1.0.0")).toBe("crowdcrunch/orders:1.0.0");
  expect(imageName(orders, "1.0.0", chosenRegistry("127.0.0.1:5000"))).toBe("127.0.0.1:5000/crowdcrunch/orders:1.0.0");
  expect(chosenRegistry("ghcr.io/some-one")).toBe("ghcr.io/some-one");
  expect(() => chosenRegistry(undefined)).toThrow("make publish REGISTRY=");
  expect(() => chosenRegistry("https://ghcr.io")).toThrow('REGISTRY is "https://ghcr.io"');
});

test("the builder is told the part, its labels, and what differs from the Dockerfile", () => {
  const choice = { parts: [orders], tag: "1.0.0" };
  const plain = buildOptions(orders, choice, origin);
  expect(plain.slice(0, 2)).toEqual(["--file", join(repositoryRoot, "docker/Dockerfile")]);
  expect(plain.filter((option) => option.includes("=") || option.startsWith("--secret"))).toEqual([
    "PART=services/orders",
    "VERSION=1.0.0",
    "REVISION=4a1f",
    "SOURCE=https://git.example/shop",
    "CREATED=2026-01-02T03:04:05+00:00",
  ]);
  const special = buildOptions(orders, { ...choice, nodeImage: "node:24", npmrc: "/home/ada/.npmrc" }, origin);
  expect(special).toEqual([
    ...plain,
    ...["--build-arg", "NODE_IMAGE=node:24"],
    ...["--secret", "id=npmrc,src=/home/ada/.npmrc"],
  ]);
  const known = [...read("docker/Dockerfile").matchAll(/^ARG (\w+)/gm)].map(([, name]) => name);
  const given = special.flatMap((option, i) => (special[i - 1] === "--build-arg" ? [option.split("=")[0]] : []));
  expect(known).toEqual(expect.arrayContaining(given));
});

test("IMAGE_BUILDER comes before docker, and docker before the builder beside CLUSTER_UP", () => {
  const up = join(folder, "up");
  expect(builderBeside(up)).toBeUndefined();
  expect(() => chooseBuilder({ CLUSTER_UP: up }, false)).toThrow("name another builder with IMAGE_BUILDER");
  const beside = join(folder, "image");
  writeFileSync(beside, "#!/bin/sh\n");
  chmodSync(beside, 0o644);
  expect(builderBeside(up)).toBeUndefined();
  chmodSync(beside, 0o755);
  expect(chooseBuilder({ CLUSTER_UP: up }, true).name).toBe("docker");
  expect(chooseBuilder({ CLUSTER_UP: up }, false).name).toBe(beside);
  const own = chooseBuilder({ IMAGE_BUILDER: "/opt/image", CLUSTER_UP: up }, true);
  expect(own.build("a:1", "/shop", ["--file", "f"])).toEqual(["/opt/image", "--build", "a:1", "/shop", "--file", "f"]);
  expect(own.load!(["a:1", "b:1"])).toEqual(["/opt/image", "--load", "a:1", "b:1"]);
});

test("images go into a cluster the way that it takes them", () => {
  const docker = chooseBuilder({}, true);
  const into = (context: string, environment = {}) => wayInto(context, docker, ["a:1", "b:1"], environment);
  expect(docker.build("a:1", "/shop", ["--file", "f"])).toEqual([
    "docker",
    "build",
    "--tag",
    "a:1",
    "--file",
    "f",
    "/shop",
  ]);
  expect(into("docker-desktop")).toEqual({ kind: "shared" });
  expect(into("kind-shop-2")).toEqual({
    kind: "names",
    command: ["kind", "load", "docker-image", "--name", "shop-2", "a:1", "b:1"],
  });
  expect(into("k3d-shop")).toMatchObject({ command: ["k3d", "image", "import", "--cluster", "shop", "a:1", "b:1"] });
  const minikube = into("minikube");
  expect(minikube.kind === "file" && minikube.command("/tmp/images.tar")).toEqual(
    "minikube image load --profile minikube /tmp/images.tar".split(" "),
  );
  expect(into("minikube", { MINIKUBE_ACTIVE_DOCKERD: "minikube" })).toEqual({ kind: "shared" });
  expect(into("production")).toEqual({ kind: "registry" });
  const own = chooseBuilder({ IMAGE_BUILDER: "image" }, false);
  expect(wayInto("production", own, ["a:1"], {})).toEqual({ kind: "names", command: ["image", "--load", "a:1"] });
});

test("the source of an image is a page, without the credentials of a remote", () => {
  expect(pageOf("https://ada:secret@git.example/shops/shop.git")).toBe("https://git.example/shops/shop");
  expect(pageOf("https://git.example/shop/")).toBe("https://git.example/shop");
  expect(pageOf("git@git.example:shops/shop.git")).toBe("https://git.example/shops/shop");
  expect(pageOf("ssh://git@git.example/shops/shop.git")).toBe("https://git.example/shops/shop");
  expect(pageOf("/srv/shop")).toBe("");
  expect(pageOf("")).toBe("");
});
