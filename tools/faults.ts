/**
 * `make faults`: the points at which the shop can be made to fail on purpose, and what is set now. SERVICE=… SET="…"
 * sets faults in one process in place of those before; CLEAR=1 clears them, in SERVICE=… alone or in all.
 */
import { faultPoints } from "@crowdcrunch/kit/fault-points";
import { parseFaults } from "@crowdcrunch/kit/fault-settings";
import type { FaultState } from "@crowdcrunch/kit/faults";
import { Problem, main, shopPlace } from "./environment.ts";
import { faultControl, faultyProcesses } from "./fault-control.ts";
import { shopAddresses } from "./processes.ts";

function describe({ point, action, passes, fired, ...options }: FaultState): string {
  const given = Object.entries(options).filter(([, value]) => value !== null && value !== undefined);
  const words = given.map(([name, value]) => `${name}=${value}`).join(",");
  return `${point}:${action}:${words}  fired ${fired} of ${passes} passes`;
}

await main(async () => {
  const { SERVICE: service, SET: set, CLEAR: clear } = process.env;
  if (service && !faultyProcesses.includes(service))
    throw new Problem(`There is no process "${service}"; there are ${faultyProcesses.join(", ")}.`);
  const meant = service ? [service] : faultyProcesses;
  const control = faultControl(await shopAddresses(shopPlace()));

  if (set) {
    if (!service) throw new Problem(`Say in which process, for example SERVICE=payments SET="${set}".`);
    const { settings, problems } = parseFaults(set);
    if (problems.length > 0) throw new Problem(`SET is wrong:\n${problems.map((text) => `  ${text}`).join("\n")}`);
    for (const state of await control.set(service, settings)) console.log(`${service}  ${describe(state)}`);
    console.log("\nIt lasts until CLEAR=1, another SET or the end of the process; make logs shows each time it fires.");
    return;
  }
  if (clear) {
    for (const name of meant) await control.set(name, []);
    console.log(`Cleared: ${meant.join(", ")}.`);
    return;
  }

  for (const [point, { actions, place, lookAt }] of Object.entries(faultPoints))
    console.log(`${point}  ${actions.join(" | ")}\n    when     ${place}\n    look at  ${lookAt}`);
  console.log(
    '\nmake faults SERVICE=payments SET="provider.after-call:kill:rate=0.1" · make faults CLEAR=1 · docs/faults.md\n',
  );
  for (const name of meant) {
    try {
      const states = await control.list(name);
      for (const state of states) console.log(`${name}  ${describe(state)}`);
      if (states.length === 0) console.log(`${name}  nothing is set`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      console.log(error.message);
    }
  }
});
