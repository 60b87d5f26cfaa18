import type { Shop } from "./shop.ts";

/** Whether helm is 3, which asks nobody before it takes back what others have set, and keeps the pod of helm test. */
export async function isHelm3({ helm }: Pick<Shop, "helm">): Promise<boolean> {
  return (await helm(["version", "--template", "{{.Version}}"])).startsWith("v3.");
}
