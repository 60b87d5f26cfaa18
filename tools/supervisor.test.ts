import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { checkNoneRuns, readinessOf, startSupervisor, stopLeftovers, stopSupervisor, untilReady } from "./control.ts";
import { processesOf } from "./plan.ts";
import type { Order, Plan, ProcessPlan } from "./plan.ts";
import { commandOf } from "./port-holder.ts";
import { repositoryRoot } from "./schemas.ts";
import { readState } from "./supervisor-state.ts";

/** Says in diary.txt when it starts and when it is asked to stop; ready at once. */
const program = `
  import { appendFileSync } from "node:fs";
  import { createServer } from "node:http";
  const say = (word) => appendFileSync("diary.txt", process.env.NAME + " " + word + "\\n");
  say("starts");
  const server = createServer((request, response) => response.end(JSON.stringify({ waitingFor: [] })));
  server.listen(Number(process.env.METRICS_PORT), "127.0.0.1");
  process.on("SIGTERM", () => { say("stops"); setTimeout(() => process.exit(0), 50); });
`;

/** For what happens at once, on a busy machine too. */
const patience = { timeout: 10_000 };
let varDir: string;
let plan: Plan;

beforeEach(async () => {
  varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-supervisor-"));
  writeFileSync(join(varDir, "program.mjs"), program);
  const [first, second, third] = [await fixture("first"), await fixture("second"), await fixture("third")];
  plan = { varDir, steps: [{ start: [first] }, { task: task(`console.log("done")`) }, { start: [second, third] }] };
});

afterEach(async () => {
  await stopSupervisor(varDir);
  rmSync(varDir, { recursive: true });
});

async function fixture(name: string): Promise<ProcessPlan> {
  const metricsPort = await freePort();
  return {
    name,
    command: [process.execPath, join(varDir, "program.mjs")],
    env: { NAME: name, METRICS_PORT: String(metricsPort) },
    metricsPort,
  };
}

function task(code: string): ProcessPlan {
  return { name: "task", command: [process.execPath, "-e", code], env: {} };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function start(): Promise<(order: Order) => void> {
  const order = await startSupervisor(plan, { lifeline: true });
  await untilReady(plan, { timeoutMs: 20_000 });
  return order;
}

function pidOf(name: string): number {
  return readState(varDir)!.processes.find((process_) => process_.name === name)!.pid!;
}

function diary(): string[] {
  return readFileSync(join(varDir, "diary.txt"), "utf8").trim().split("\n");
}

test("starts all, and stops all in reverse order", async () => {
  await start();
  const state = readState(varDir)!;
  expect(state).toMatchObject({ mode: "processes", phase: "running" });
  expect(state.processes.map(({ name, state: what, restarts }) => [name, what, restarts])).toEqual([
    ["first", "running", 0],
    ["second", "running", 0],
    ["third", "running", 0],
  ]);
  expect(readFileSync(join(varDir, "log/task.log"), "utf8")).toBe("done\n");

  expect(await stopSupervisor(varDir)).toBe("The shop is down; its data stay.");
  // Empty: it has ended, and was not yet waited for.
  for (const { pid } of [state, ...state.processes]) expect(commandOf(pid!) ?? "").toBe("");
  const stops = diary().filter((line) => line.endsWith("stops"));
  expect(stops).toHaveLength(3);
  expect(stops.at(-1)).toBe("first stops");
  expect(await stopSupervisor(varDir)).toBe("Nothing runs here.");
});

test("keeps down what it is told to stop, starts it with other variables, and adds one more", async () => {
  const order = await start();
  const stateOf = (name: string) => readState(varDir)!.processes.find((process_) => process_.name === name);
  order({ stop: "second", signal: "SIGTERM" });
  await vi.waitFor(() => expect(stateOf("second")?.state).toBe("stopped"), patience);
  order({ add: await fixture("fourth") });
  order({ stop: "nobody", signal: "SIGKILL" });
  order({ start: "second", env: { NAME: "second again" } });
  await vi.waitFor(
    () => expect(diary().slice(3).sort()).toEqual(["fourth starts", "second again starts", "second stops"]),
    patience,
  );
  expect(stateOf("second")).toMatchObject({ state: "running", restarts: 0 });
  order({ stop: "third", signal: "SIGKILL" });
  await vi.waitFor(() => expect(stateOf("third")).toMatchObject({ state: "stopped", lastEnd: "SIGKILL" }), patience);
  // Neither what is held down nor what was added keeps it from stopping.
  expect(await stopSupervisor(varDir)).toBe("The shop is down; its data stay.");
  expect(diary().slice(6).sort()).toEqual(["first stops", "fourth stops", "second again stops"]);
});

test("starts a killed process again", async () => {
  await start();
  const before = pidOf("second");
  process.kill(before, "SIGKILL");
  await vi.waitFor(() => expect(pidOf("second")).toBeGreaterThan(0), 5_000);
  await untilReady(plan, { timeoutMs: 10_000 });
  await vi.waitFor(
    () => {
      const second = readState(varDir)!.processes.find(({ name }) => name === "second");
      expect(second).toMatchObject({ state: "running", restarts: 1, lastEnd: "SIGKILL" });
      expect(second!.pid).not.toBe(before);
    },
    { timeout: 5_000 },
  );
});

test("refuses a second start in the same folder", async () => {
  await start();
  const { pid } = readState(varDir)!;
  expect(() => checkNoneRuns(varDir)).toThrow(`The shop is already running (make up, pid ${pid}, running)`);
});

test("names each taken port and who holds it", async () => {
  const { metricsPort } = processesOf(plan)[1]!;
  const server = createServer().listen(metricsPort, "127.0.0.1");
  await once(server, "listening");
  await expect(startSupervisor(plan)).rejects.toThrow(
    new RegExp(`Port ${metricsPort} of second \\(metrics\\) is taken by pid ${process.pid} \\(.*node.*\\)\\.`),
  );
  expect(readState(varDir)).toBeUndefined();
  server.close();
});

test("says whose log to read when a process dies again and again", async () => {
  const broken = {
    ...task(`console.error("no such setting"); process.exit(3)`),
    name: "broken",
    metricsPort: await freePort(),
  };
  plan.steps.push({ start: [broken] });
  await startSupervisor(plan, { lifeline: true });
  await expect(untilReady(plan, { timeoutMs: 20_000 })).rejects.toThrow(
    /^broken has died 4 times \(code 3\)\. The end of its log:\n(no such setting\n?)+$/,
  );
});

test("stops everything when a task fails, and shows its log", async () => {
  plan.steps[1] = { task: task(`console.error("no such role"); process.exit(1)`) };
  await startSupervisor(plan, { lifeline: true });
  await expect(untilReady(plan, { timeoutMs: 20_000 })).rejects.toThrow(
    /^task failed \(code 1\); see .*task\.log\nno such role$/,
  );
  await vi.waitFor(() => expect(commandOf(readState(varDir)!.pid)).toBeUndefined(), { timeout: 5_000 });
  expect(readState(varDir)!.processes).toMatchObject([{ name: "first", state: "stopped" }]);
});

test("finds and stops what a killed supervisor left behind", async () => {
  await start();
  const { pid } = readState(varDir)!;
  process.kill(pid, "SIGKILL");
  await vi.waitFor(() => expect(commandOf(pid)).toBeUndefined(), { timeout: 5_000 });
  const orphans = checkNoneRuns(varDir);
  expect(orphans.map(({ name }) => name)).toEqual(["first", "second", "third"]);
  await stopLeftovers(orphans);
  for (const process_ of processesOf(plan)) expect(await readinessOf(process_)).toMatchObject({ ready: false });
  expect(checkNoneRuns(varDir)).toEqual([]);
});

test("ends with the process that started it", async () => {
  const code = `
    import { startSupervisor } from ${JSON.stringify(join(repositoryRoot, "tools/control.ts"))};
    await startSupervisor(${JSON.stringify(plan)}, { lifeline: true });
    setInterval(() => {}, 1000);
  `;
  const caller = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: "inherit" });
  await vi.waitFor(() => expect(readState(varDir)?.phase).toBe("running"), { timeout: 10_000 });
  const { pid, processes } = readState(varDir)!;
  caller.kill("SIGKILL");
  await vi.waitFor(() => expect(commandOf(pid)).toBeUndefined(), { timeout: 10_000 });
  for (const process_ of processes) expect(commandOf(process_.pid!) ?? "").toBe("");
});
