/**
 * Writes istio/faults: for each service and the provider a delay and an abort, caused by the mesh on the way to it. `--check`
 * writes nothing and fails when a committed file is stale.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { serviceNames as services } from "@crowdcrunch/shop/parts";
import { Problem, main } from "./environment.ts";
import { keepFresh } from "./generated-file.ts";
import { repositoryRoot } from "./schemas.ts";

/** Where the faults of the mesh are kept. */
export const faultsFolder = "istio/faults";

interface MeshFault {
  kind: "delay" | "abort";
  /** What happens, as a sentence. */
  happens: string;
  /** As Istio has it, below `fault`. */
  fault: string;
}

/** Half of the requests: with all of them late or lost nobody would see that the shop gets over it. */
const half = "percentage: { value: 50 }";

function faultsOf(component: string): MeshFault[] {
  // Longer than payments waits for an answer, which then does not know what became of the money.
  const delaySeconds = component === "provider" ? 7 : 2;
  return [
    {
      kind: "delay",
      happens: `Every second request to ${component} arrives ${delaySeconds} s late.`,
      fault: `delay: { ${half}, fixedDelay: ${delaySeconds}s }`,
    },
    {
      kind: "abort",
      happens: `Every second request to ${component} is answered with 503 by the mesh and never arrives.`,
      fault: `abort: { ${half}, httpStatus: 503 }`,
    },
  ];
}

/** The files' texts by their paths. Both faults of a component have one name: the second takes the place of the first. */
export function meshFaultFiles(): Map<string, string> {
  const files = [...services, "provider"].flatMap((component) =>
    faultsOf(component).map(({ kind, happens, fault }) => {
      const file = `${faultsFolder}/${component}-${kind}.yaml`;
      const text = `# Made by \`make callers\`; not edited by hand. ${happens}
#   kubectl -n <the shop's namespace> apply -f ${file}
# and to end it the same with delete.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${component}-fault }
spec:
  hosts: [${component}]
  http:
    - fault: { ${fault} }
      route: [{ destination: { host: ${component} } }]
`;
      return [file, text] as const;
    }),
  );
  return new Map(files);
}

if (import.meta.main) {
  await main(async () => {
    const files = meshFaultFiles();
    const folder = join(repositoryRoot, faultsFolder);
    mkdirSync(folder, { recursive: true });
    for (const [file, text] of files) keepFresh(file, text, "callers");
    for (const name of readdirSync(folder)) {
      if (files.has(`${faultsFolder}/${name}`)) continue;
      if (process.argv.includes("--check"))
        throw new Problem(`${faultsFolder}/${name} is of no part of the shop: run make callers and commit that.`);
      rmSync(join(folder, name));
      console.log(`${faultsFolder}/${name} removed.`);
    }
  });
}
