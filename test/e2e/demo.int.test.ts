import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { auditShop } from "@crowdcrunch/auditor/audit";
import { shopAddresses } from "@crowdcrunch/tools/processes";
import { stopShop } from "@crowdcrunch/tools/shop";
import { afterAll, beforeAll, expect, test } from "vitest";

const portOffset = 23_000;
const demo = fileURLToPath(new URL("../../tools/demo.ts", import.meta.url));

let varDir: string;
beforeAll(() => {
  varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-demo-"));
});
afterAll(async () => {
  await stopShop({ varDir });
  rmSync(varDir, { recursive: true });
});

async function runDemo(): Promise<{ code: number | null; out: string; complaints: string }> {
  const child = spawn(process.execPath, [demo], {
    // On the embedded log, whatever Kafka there is for other tests.
    env: { ...process.env, KAFKA_BROKERS: "", KAFKA: "", CROWDCRUNCH_VAR: varDir, PORT_OFFSET: String(portOffset) },
  });
  let out = "";
  let complaints = "";
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (complaints += data));
  const [code] = (await once(child, "exit")) as [number | null];
  return { code, out, complaints };
}

/** What happens, in this order; between these others may stand. */
const story = [
  /Ada looks at the catalogue: .+; for example .+/,
  /She searches for "mug": .*Mug/,
  /As a guest she puts into her cart/,
  / 2 × .+/,
  / 1 × .+, to download/,
  /signs up as .+, and her cart follows/,
  /the order is placed · by the shopper/,
  /the order is confirmed/,
  /the download link is sent/,
  /opens the link in her mail and gets .+ bytes/,
  /the parcel is dispatched/,
  /the parcel is delivered/,
  /sends the other back/,
  /a return is requested · R-\w+ · by the shopper/,
  /the goods are inspected · R-\w+ · by staff/,
  /the money is back on the card · £/,
  /the return is settled/,
  /She has £\d+\.\d\d back/,
  /graph +http:\/\/127\.0\.0\.1:27000\/graphql/,
  /the demo is complete, after .+ s\.\n$/,
];

test("the demo starts a shop, buys, returns and is refunded, and the shop runs on for another", async () => {
  const first = await runDemo();
  expect(first).toMatchObject({ code: 0, complaints: "" });
  let rest = first.out;
  for (const step of story) {
    const match = step.exec(rest);
    expect(match, `${step} in what follows:\n${rest}`).not.toBeNull();
    rest = rest.slice(match!.index);
  }

  const second = await runDemo();
  expect(second.out).toMatch(/the demo is complete/);
  const { databaseUrl } = await shopAddresses({ varDir, portOffset });
  const violations: string[] = [];
  await auditShop({
    url: databaseUrl("auditor"),
    windowSeconds: 60,
    say: (line) => violations.push(line),
    quiet: true,
  });
  expect(violations).toEqual([]);
});

test("where the shop cannot start, the demo ends with a sentence and exit code 1", async () => {
  await stopShop({ varDir });
  const holder = createServer().listen(4_004 + portOffset, "127.0.0.1");
  await once(holder, "listening");
  try {
    const run = await runDemo();
    expect(run.code).toBe(1);
    expect(run.complaints).toMatch(/Port 27004 of orders is taken by/);
  } finally {
    holder.close();
  }
});
