/**
 * `make republish SERVICE=…`: the service publishes the current state of all it has, at its current version. That is how
 * a new read model is filled, or a lost one is filled again; what others know already changes nothing.
 */
import { Problem, main } from "./environment.ts";
import { readSubgraph, serviceNames } from "./schemas.ts";
import { asStaff } from "./staff-graph.ts";

await main(async () => {
  const able = serviceNames().filter((name) => readSubgraph(name).includes(`${name}Republish`));
  const service = process.env.SERVICE;
  if (!service || !able.includes(service)) {
    const what = service ? `"${service}" publishes no current state.` : "Say which service: make republish SERVICE=…";
    throw new Problem(`${what} These do: ${able.join(", ")}.`);
  }
  await asStaff(async (ask) => {
    const field = `${service}Republish`;
    const answer = await ask(`mutation Republish { ${field} { events } }`);
    console.log(`${service} published its current state again: ${answer[field].events} events.`);
  });
});
