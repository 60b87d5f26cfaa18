import { spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { customerErased } from "@crowdcrunch/events/customers";
import * as orders from "@crowdcrunch/events/orders";
import type { EventToEmit } from "@crowdcrunch/events/contract";
import { openDatabase } from "@crowdcrunch/kit/database";
import type { Database } from "@crowdcrunch/kit/database";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createMetrics } from "@crowdcrunch/kit/metrics";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import { testService, until } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { payments } from "../src/service.ts";

const apiKey = "provider-test-key";
const webhookSecret = "provider-test-secret";

/** The simulated provider as a process of its own, with its own database. */
export interface TestProvider {
  url: string;
  /** Its book, as superuser. */
  book: Database["pool"];
  /** Calls its API as the shop does. */
  call(
    method: "GET" | "POST" | "PUT",
    path: string,
    body?: object,
  ): Promise<{ status: number; body: Record<string, unknown> }>;
  /** Stops it from answering, as a machine that hangs, until `resume`. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export interface World {
  payments: TestService;
  provider: TestProvider;
  /** A new order of a new customer, to be told about. */
  order(): OrderStory;
  /** Calls the payments service back as the provider would; `secret` to forge. */
  callBack(operation: object, options?: { secret?: string; secondsAgo?: number; type?: string }): Promise<number>;
  /** A customer asks to be forgotten. */
  erase(customerId: string): Promise<void>;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startProvider(env: Record<string, string>): Promise<TestProvider> {
  const database = await createDatabase();
  const admin = new URL(database.adminUrl);
  admin.searchParams.set("options", "-c search_path=provider");
  const log = createLogger({ service: "test", level: "silent" });
  const book = openDatabase({
    url: admin.href,
    connections: 2,
    applicationName: "test",
    newId: randomUUID,
    log,
    metrics: createMetrics({ service: "test", processMetrics: false }),
  }).pool;
  const child = spawn(process.execPath, [fileURLToPath(new URL("../../../provider/src/main.ts", import.meta.url))], {
    env: {
      PORT: "0",
      METRICS_PORT: "0",
      DATABASE_URL: database.url("provider"),
      OWNER_DATABASE_URL: database.url("provider_owner"),
      PROVIDER_API_KEY: apiKey,
      PROVIDER_WEBHOOK_SECRET: webhookSecret,
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const url = await new Promise<string>((resolve, reject) => {
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => {
      lines.push(line);
      const { msg, url: at } = JSON.parse(line) as { msg?: string; url?: string };
      if (msg === "ready" && at) resolve(at);
    });
    child.once("exit", () => reject(new Error(`the provider did not start:\n${lines.join("\n")}`)));
  });
  return {
    url,
    book,
    async call(method, path, body) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${apiKey}`, ...(body ? { "content-type": "application/json" } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    async stop() {
      process.off("exit", kill);
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await exited;
      await book.end();
      await database.drop();
    },
  };
}

/** The payments service and the provider, joined. */
export async function createWorld(env: Record<string, string> = {}): Promise<World> {
  const port = await freePort();
  const provider = await startProvider({
    PROVIDER_WEBHOOK_URL: `http://127.0.0.1:${port}/hooks/payments`,
    PROVIDER_LATENCY_MS: "2",
    ...env,
  });
  const service = await testService(payments, {
    env: {
      PORT: String(port),
      PROVIDER_URL: provider.url,
      PROVIDER_API_KEY: apiKey,
      PROVIDER_WEBHOOK_SECRET: webhookSecret,
      PROVIDER_TIMEOUT_MS: "500",
      ...env,
    },
  }).catch(async (error: unknown) => {
    await provider.stop();
    throw error;
  });
  return {
    payments: service,
    provider,
    order: () => tellOrder(service),
    async erase(customerId) {
      await service.deliver(customerErased.create({ customerId, at: new Date().toISOString() }, { sequence: 1 }));
    },
    async callBack(operation, { secret = webhookSecret, secondsAgo = 0, type = "operation.settled" } = {}) {
      const body = JSON.stringify({ id: "cb_test", type, operation });
      const seconds = Math.floor(Date.now() / 1_000) - secondsAgo;
      const signature = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
      const response = await fetch(`${service.url}/hooks/payments`, {
        method: "POST",
        headers: { "content-type": "application/json", "provider-signature": `t=${seconds},v1=${signature}` },
        body,
      });
      await response.arrayBuffer();
      return response.status;
    },
    async stop() {
      await service.stop();
      await provider.stop();
    },
  };
}

export type OrderStory = ReturnType<typeof tellOrder>;

/** What orders tells payments about one order. */
function tellOrder(service: TestService) {
  const orderId = randomUUID();
  const customerId = randomUUID();
  const paymentId = randomUUID();
  const currency = "GBP";
  let version = 0;
  const onOrder = () => ({ orderId, customerId, version: ++version });
  const line = { lineId: randomUUID(), skuId: randomUUID(), name: "Stoneware mug", quantity: 1, digital: false };
  const number = `T${orderId.slice(-8)}`.toUpperCase();
  const tell = async (event: EventToEmit) => {
    await service.deliver(event);
  };
  const sequence = () => ({ sequence: version });
  return {
    orderId,
    customerId,
    paymentId,
    events: {
      requested: (paymentToken: string, amountMinor = 2_500, attempt = 1) =>
        orders.paymentRequested.create(
          { ...onOrder(), number, paymentId, attempt, amountMinor, currency, paymentToken },
          sequence(),
        ),
      shipped: (captureMinor: number, captureSequence = 1) =>
        orders.orderShipped.create(
          {
            ...onOrder(),
            number,
            shipmentId: randomUUID(),
            lines: [line],
            paymentId,
            captureMinor,
            captureSequence,
            currency,
            completesShipping: true,
          },
          sequence(),
        ),
      cancelled: (capturableMinor = 0, whole = true) =>
        orders.orderCancelled.create(
          {
            ...onOrder(),
            number,
            cancellationId: randomUUID(),
            paymentId,
            lines: [line],
            whole,
            beforeConfirmed: true,
            reason: "SHOPPER",
            capturableMinor,
            currency,
          },
          sequence(),
        ),
      completed: () =>
        orders.orderCompleted.create({ ...onOrder(), paymentId, at: new Date().toISOString() }, sequence()),
      refundRequested: (amountMinor: number, refundId = randomUUID(), of = paymentId) =>
        orders.refundRequested.create(
          { ...onOrder(), refundId, paymentId: of, amountMinor, currency, reason: "RETURN" },
          sequence(),
        ),
      reassigned: (to: string) =>
        orders.orderReassigned.create({ ...onOrder(), customerId: to, previousCustomerId: customerId }, sequence()),
    },
    tell,
    /** What payments has answered about the order: name and data, in order. */
    async answers() {
      const events = await service.emitted();
      return events
        .filter(({ key }) => key === orderId)
        .map(({ type, sequence: at, data }) => ({
          name: type.split(".")[1] as string,
          sequence: at,
          data: data as Record<string, unknown>,
        }));
    },
    /** Waits until the last answer has this name, and gives it. */
    async answered(name: string, count = 1) {
      let found: Record<string, unknown>[] = [];
      await until(async () => {
        found = (await this.answers()).filter((answer) => answer.name === name).map(({ data }) => data);
        return found.length >= count;
      }, `${count} × ${name}`);
      return found[count - 1] as Record<string, unknown>;
    },
  };
}
