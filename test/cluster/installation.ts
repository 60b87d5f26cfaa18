import { fileURLToPath } from "node:url";

/** The release's name, as the README has it. */
export const release = "crowdcrunch";
/** Where most checks have their shop; not the chart's name, because nothing may depend on that. */
export const mainNamespace = "bazaar";
/** Where the shop without a mesh is. */
export const minimalNamespace = "bazaar-min";
/** Where those are whom the shop should not let in. */
export const outsideNamespace = "bazaar-outside";

/** What the profiles promise to stay below, in MiB: values.yaml with its mesh, and values-min.yaml. */
export const laptopMiB = 4_096;
export const minimalMiB = 2_048;

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Arguments of helm: what the checks set beside the chart's own values. */
export function valuesOf(mesh: boolean): string[] {
  const front = mesh ? ["--set", "istio.enabled=true"] : ["--set", "gateway.service.type=NodePort"];
  return ["--values", file("values.yaml"), ...front];
}

/** The same for the smallest profile, which has no mesh. */
export function minimalValues(): string[] {
  const profile = file("../../values-min.yaml");
  return ["--values", profile, "--values", file("values.yaml"), "--set", "gateway.service.type=NodePort"];
}
