import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTcpProxy } from "./tcp-proxy.ts";
import type { TcpProxy } from "./tcp-proxy.ts";

/** Answers each message with itself, and its own name before. */
async function echo(name: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("data", (bytes) => socket.write(`${name}:${bytes}`));
    socket.on("error", () => {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}
const portOf = (server: Server) => (server.address() as AddressInfo).port;

let server: Server;
let proxy: TcpProxy;
let socket: Socket;

beforeEach(async () => {
  server = await echo("a");
  proxy = await startTcpProxy({ host: "127.0.0.1", port: portOf(server) });
  const arrived = once(server, "connection");
  socket = connect(proxy.port, "127.0.0.1").on("error", () => {});
  await arrived;
});
afterEach(async () => {
  socket.destroy();
  await proxy.close();
  server.close();
});

/** What comes next, or "nothing" where nothing does in 100 ms. */
async function next(from = socket): Promise<string> {
  const silence = sleep(100).then(() => "nothing");
  return Promise.race([once(from, "data").then(String), silence]);
}

test("a black hole keeps the connection and hands on what it swallowed when it is over", async () => {
  await proxy.set({ blackHole: true });
  socket.write("x");
  expect(await next()).toBe("nothing");
  expect(proxy.counts()).toEqual({ opened: 1, cut: 0, heldBack: 1 });
  await proxy.set({});
  expect(await next()).toBe("a:x");
});

test("a black hole tells the other side of an end only when it is over", async () => {
  const connected = once(server, "connection");
  const another = connect(proxy.port, "127.0.0.1");
  const [other] = (await connected) as [Socket];
  const closed = once(other, "close").then(() => "closed");
  await proxy.set({ blackHole: true });
  another.destroy();
  expect(await Promise.race([closed, sleep(100)])).toBeUndefined();
  await proxy.set({});
  expect(await closed).toBe("closed");
});

test("what is stranded stays open to both sides and is lost, while new connections are let through", async () => {
  const connected = once(server, "connection");
  const another = connect(proxy.port, "127.0.0.1").on("error", () => {});
  const [other] = (await connected) as [Socket];
  const closed = once(other, "close").then(() => "closed");
  await proxy.set({ strand: true });
  socket.write("x");
  another.destroy();
  expect(await next()).toBe("nothing");
  expect(await Promise.race([closed, sleep(100)])).toBeUndefined();
  expect(proxy.counts().heldBack).toBe(1);
  const fresh = connect(proxy.port, "127.0.0.1").on("error", () => {});
  fresh.write("y");
  expect(await next(fresh)).toBe("a:y");

  await proxy.set({});
  expect(await closed).toBe("closed");
  await once(socket, "close");
  fresh.write("z");
  expect(await next(fresh)).toBe("a:z");
  fresh.destroy();
});

test("refuses new connections and keeps open ones, until it is told otherwise", async () => {
  await proxy.set({ refuse: true });
  const [error] = await once(connect(proxy.port, "127.0.0.1"), "error");
  expect(error.code).toBe("ECONNREFUSED");
  socket.write("x");
  expect(await next()).toBe("a:x");
  await proxy.set({});
  await once(connect(proxy.port, "127.0.0.1"), "connect");
});

test("delays all bytes by as much, in order", async () => {
  await proxy.set({ delayMs: 150 });
  const beganMs = performance.now();
  socket.write("x");
  await sleep(20);
  socket.write("y");
  const [first] = await once(socket, "data");
  // There and back.
  expect(performance.now() - beganMs).toBeGreaterThan(290);
  expect(String(first)).toBe("a:x");
});

test("lets only so many bytes through in a second", async () => {
  await proxy.set({ bytesPerSecond: 100 });
  const beganMs = performance.now();
  socket.write("x".repeat(20));
  await once(socket, "data");
  expect(performance.now() - beganMs).toBeGreaterThan(390);
});

test("cuts, counts, and leads new connections elsewhere", async () => {
  const elsewhere = await echo("b");
  proxy.retarget({ host: "127.0.0.1", port: portOf(elsewhere) });
  socket.write("x");
  expect(await next()).toBe("a:x");
  proxy.cut();
  await once(socket, "close");
  const another = connect(proxy.port, "127.0.0.1");
  another.write("x");
  expect(await next(another)).toBe("b:x");
  expect(proxy.counts()).toMatchObject({ opened: 2, cut: 1 });
  another.destroy();
  elsewhere.close();
});
