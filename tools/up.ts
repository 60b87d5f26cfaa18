/** `make up`: starts the shop in the background, waits until it is ready and prints its addresses. */
import { Problem, main, shopPlace } from "./environment.ts";
import type { Readiness } from "./control.ts";
import { chosenFaults } from "./fault-choice.ts";
import { faultyProcesses } from "./fault-control.ts";
import { chosenKafka, kafka } from "./kafka/shop-kafka.ts";
import { gateway, postgres, provider, services } from "./processes.ts";
import { startShop } from "./shop.ts";
import { isAlive, readState } from "./supervisor-state.ts";

const isTerminal = process.stdout.isTTY;

/** One line that changes on a terminal; elsewhere a line whenever one more is ready. */
function progressPrinter(): (readiness: Readiness[]) => void {
  let printed = "";
  return (readiness) => {
    const waiting = readiness.filter(({ ready }) => !ready).map(({ name }) => name);
    const line = `${readiness.length - waiting.length} of ${readiness.length} ready${waiting.length > 0 ? `, waiting for ${waiting.join(", ")}` : ""}`;
    if (line === printed) return;
    printed = line;
    process.stdout.write(isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
    if (isTerminal && waiting.length === 0) process.stdout.write("\n");
  };
}

await main(async () => {
  const startedAt = performance.now();
  const place = shopPlace();
  const faults = chosenFaults();
  // It is for those below; what make was given comes to every process else.
  delete process.env["FAULTS"];
  const options = {
    ...{ ...place, kafka: chosenKafka(), lifeline: false, say: console.log, progress: progressPrinter() },
    env: Object.fromEntries(faultyProcesses.map((name) => [name, faults])),
  };
  const shop = await startShop(options).catch((error: unknown) => {
    const state = readState(place.varDir);
    if (error instanceof Problem && state && isAlive(state)) error.message += "\n\nmake status · make logs · make down";
    throw error;
  });

  const row = (name: string, address: string, more = "") =>
    console.log(`  ${name.padEnd(12)} ${address.padEnd(34)} ${more}`);
  console.log(`\nThe shop is up, after ${((performance.now() - startedAt) / 1000).toFixed(1)} s.\n`);
  row("storefront", `${shop.url(gateway)}/`);
  row("graph", shop.graphUrl, `metrics ${shop.metricsUrl(gateway)}/metrics`);
  for (const service of services)
    row(service.name, `${shop.url(service)}/graphql`, `metrics ${shop.metricsUrl(service)}/metrics`);
  row(provider.name, `${shop.url(provider)}/`, `metrics ${shop.metricsUrl(provider)}/metrics`);
  row(
    postgres.name,
    `127.0.0.1:${postgres.port + shop.portOffset}`,
    `passwords in ${shop.varDir}/secrets/secrets.json`,
  );
  if (shop.kafka === true) row(kafka.name, `127.0.0.1:${kafka.port + shop.portOffset}`, `data in ${shop.varDir}/kafka`);
  else if (shop.kafka) row(kafka.name, shop.kafka.brokers.join(), "not of this shop");
  if (faults["FAULT_INJECTION"]) console.log("\nFaults may be caused on purpose: make faults.");
  console.log("\nmake status · make logs · make mails · make demo · make down");
});
