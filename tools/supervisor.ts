/**
 * The process that runs a shop: `node tools/supervisor.ts <plan file> [--lifeline]`. It keeps run/supervisor.json up to
 * date and stops everything on SIGTERM or SIGINT; with --lifeline also when its standard input closes, so that a test's
 * shop ends with the test. On that input it takes orders, one line of JSON each.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Order, Plan } from "./plan.ts";
import { commandOf } from "./port-holder.ts";
import { supervise } from "./supervise.ts";
import { writeState } from "./supervisor-state.ts";
import type { SupervisorState } from "./supervisor-state.ts";

const plan = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Plan;
const state: SupervisorState = {
  pid: process.pid,
  command: commandOf(process.pid),
  mode: "processes",
  phase: "starting",
  startedAt: new Date().toISOString(),
  processes: [],
};

function say(phase: SupervisorState["phase"], problem?: string): void {
  Object.assign(state, { phase, problem });
  writeState(plan.varDir, state);
}

say("starting");
const supervision = supervise(plan, (processes) => {
  state.processes = processes;
  writeState(plan.varDir, state);
});

let stopping: Promise<void> | undefined;
function stop(): void {
  stopping ??= (async () => {
    if (state.phase !== "failed") say("stopping");
    await supervision.stop();
    process.exit(0);
  })();
}

process.on("SIGTERM", stop);
process.on("SIGINT", stop);
// The terminal that `make up` was typed in may close.
process.on("SIGHUP", () => {});
if (process.argv.includes("--lifeline")) {
  process.stdin.once("close", stop);
  createInterface(process.stdin).on("line", (line) => {
    try {
      supervision.order(JSON.parse(line) as Order);
    } catch (error) {
      // The processes need their supervisor more than an order needs to be understood.
      console.error(`An order was not taken: ${(error as Error).message}`);
    }
  });
}

try {
  await supervision.started;
  if (!stopping) say("running");
} catch (error) {
  say("failed", (error as Error).message);
  stop();
}
