import { Problem } from "@crowdcrunch/kit/program";
import { openKubernetes } from "./kubernetes.ts";
import type { KubernetesObject, OwnerReference, Resource } from "./kubernetes.ts";
import type { Say } from "./progress.ts";
import { openPublicKeys } from "./public-keys.ts";
import type { SigningKeys } from "./signing-keys.ts";
import { kubernetesUrl, labelsOf } from "./variables.ts";
import type { KeyConfig } from "./variables.ts";

const serviceAccounts: Resource = { apiVersion: "v1", plural: "serviceaccounts" };

/** The cluster's API, and the shop's keys in it. */
export async function openCluster(config: KeyConfig, say: Say): Promise<SigningKeys> {
  const labels = labelsOf(config, "LABELS");
  const selector = labelsOf(config, "ISTIO_SELECTOR_LABELS");
  const kubernetes = await openKubernetes({
    url: kubernetesUrl(config),
    accountFolder: config.SERVICE_ACCOUNT_FOLDER,
    say,
  });
  const owner = ownerReference(await kubernetes.read(serviceAccounts, config.OWNER_NAME), config.OWNER_NAME);
  const publicKeys = openPublicKeys({
    kubernetes,
    configMap: config.JWKS_NAME,
    requestAuthentication: config.ISTIO_REQUEST_AUTHENTICATION,
    selector,
    labels,
    owner,
  });
  return { kubernetes, publicKeys, name: config.SIGNING_KEY_NAME, make: config.MAKE_SIGNING_KEY, labels, say };
}

function ownerReference(account: KubernetesObject | undefined, name: string): OwnerReference {
  if (!account) {
    throw new Problem(`There is no service account ${name}, which OWNER_NAME names: bring it back with helm upgrade.`);
  }
  return { apiVersion: "v1", kind: "ServiceAccount", name, uid: account.metadata.uid! };
}
