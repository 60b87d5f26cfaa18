import { check, expect } from "../check.ts";

/** What stays: the data, and the secrets without which they could not be read again. */
const staying = /^(persistentvolumeclaim|secret)\//;
/** What Kubernetes and Istio put into every namespace. */
const notOurs = /^(configmap\/(kube-root-ca\.crt|istio-ca-(root-cert|crl))|serviceaccount\/default)$/;

const kinds =
  "deployments,statefulsets,daemonsets,jobs,cronjobs,pods,services,configmaps,secrets,serviceaccounts,roles,rolebindings," +
  "networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,ingresses,persistentvolumeclaims";
const meshKinds =
  "gateways.networking.istio.io,virtualservices.networking.istio.io,destinationrules.networking.istio.io," +
  "peerauthentications.security.istio.io,authorizationpolicies.security.istio.io,requestauthentications.security.istio.io," +
  "telemetries.telemetry.istio.io";

export default check({
  name: "uninstall",
  shows: "helm uninstall takes all away but the data and the secrets",
  seconds: 180,
  async run({ shop, mesh, until }) {
    await shop.helm(["uninstall", shop.release, "--wait", "--timeout", "2m"]);
    const left = await until(
      "an empty namespace",
      async () => {
        const text = await shop.kubectl([
          "get",
          mesh ? `${kinds},${meshKinds}` : kinds,
          "-o",
          "name",
          "--ignore-not-found",
        ]);
        const names = text.split("\n").filter((name) => name && !notOurs.test(name));
        const others = names.filter((name) => !staying.test(name));
        if (others.length > 0) throw new Error(`still there: ${others.join(", ")}`);
        return names;
      },
      90,
    );
    const claims = left.filter((name) => name.startsWith("persistentvolumeclaim/"));
    expect("the data stay", claims.length > 0, left);
    return `nothing is left but ${left.join(", ")}`;
  },
});
