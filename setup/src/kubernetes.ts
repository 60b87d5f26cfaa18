import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "@crowdcrunch/kit/program";
import { Client } from "undici";
import { waitingFor } from "./progress.ts";
import type { Say } from "./progress.ts";

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
}

/** What every object of the API has. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: OwnerReference[];
  };
}

/** A kind of objects, as the API's paths have it. */
export interface Resource<Kind extends KubernetesObject = KubernetesObject> {
  /** "v1", or "group/version". */
  apiVersion: string;
  plural: string;
  /** Never set: tells the compiler what the objects are. */
  objects?: Kind;
}

/** What may be changed of an object; null removes. `resourceVersion` refuses the change where the object has changed since. */
export interface Patch {
  metadata: {
    resourceVersion: string | undefined;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

/**
 * The objects of one namespace. Where the API cannot be reached, or is too busy, every call asks again as long as it takes;
 * what it refuses is thrown as a Problem.
 */
export interface Kubernetes {
  namespace: string;
  /** Undefined where there is none. */
  read<Kind extends KubernetesObject>(resource: Resource<Kind>, name: string): Promise<Kind | undefined>;
  /** False where one of this name is there already. */
  create<Kind extends KubernetesObject>(resource: Resource<Kind>, object: Kind): Promise<boolean>;
  /** Merges the patch into the object. False where it has changed meanwhile, or is gone. */
  patch(resource: Resource, name: string, patch: Patch): Promise<boolean>;
  /** Removes the object of this uid, if it is there still. */
  remove(resource: Resource, name: string, uid: string): Promise<void>;
}

export interface KubernetesOptions {
  /** Where the API is, e.g. https://10.96.0.1:443. */
  url: string;
  /** The folder of the service account's token, authorities and namespace. They change, so they are read for every call. */
  accountFolder: string;
  say: Say;
  /** How long a refusal (401, 403) may be one that passes, because the account's rights are as new as it is. */
  refusedForMs?: number;
}

interface Call {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  body?: unknown;
  /** Statuses that the caller knows how to take. */
  expected: number[];
  /** What is done, e.g. "create the Secret shop-secrets". */
  what: string;
}

interface Answer {
  status: number;
  body: unknown;
}

const timeoutMs = 10_000;
const pauseMs = 1_000;

/** Speaks to the API of the cluster in which this process runs, as its service account. */
export async function openKubernetes(options: KubernetesOptions): Promise<Kubernetes> {
  const { url, accountFolder, say, refusedForMs = 30_000 } = options;
  const fileOf = (name: string) =>
    readFile(join(accountFolder, name), "utf8").catch((error: Error) => {
      throw new Problem(
        `The service account's ${name} cannot be read (${error.message}): this program runs in a pod, with automountServiceAccountToken.`,
      );
    });
  const namespace = (await fileOf("namespace")).trim();

  async function once({ method, path, body }: Call): Promise<Answer> {
    const client = new Client(url, {
      connect: { ca: await fileOf("ca.crt"), timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    try {
      const response = await client.request({
        method,
        path,
        headers: {
          authorization: `Bearer ${(await fileOf("token")).trim()}`,
          accept: "application/json",
          ...(body === undefined
            ? {}
            : { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      });
      const text = await response.body.text();
      return { status: response.statusCode, body: text.startsWith("{") ? (JSON.parse(text) as unknown) : text };
    } finally {
      await client.destroy();
    }
  }

  async function ask(call: Call): Promise<Answer> {
    const waiting = waitingFor(`the Kubernetes API to ${call.what}`, say);
    const beganMs = performance.now();
    for (;;) {
      const answer = await once(call).catch((error: Error) => {
        if (error instanceof Problem) throw error;
        return error;
      });
      if (answer instanceof Error) waiting(reasonOf(answer));
      else if (answer.status < 300 || call.expected.includes(answer.status)) return answer;
      else if (answer.status === 429 || answer.status >= 500) waiting(messageOf(answer));
      else if ([401, 403].includes(answer.status) && performance.now() - beganMs < refusedForMs)
        waiting(messageOf(answer));
      else throw new Problem(refusal(call.what, answer));
      await sleep(pauseMs);
    }
  }

  const collection = ({ apiVersion, plural }: Resource) =>
    `/${apiVersion.includes("/") ? "apis" : "api"}/${apiVersion}/namespaces/${namespace}/${plural}`;
  const pathOf = (resource: Resource, name: string) => `${collection(resource)}/${encodeURIComponent(name)}`;

  return {
    namespace,
    async read<Kind extends KubernetesObject>(resource: Resource<Kind>, name: string) {
      const call = { method: "GET", path: pathOf(resource, name), what: `read ${resource.plural}/${name}` } as const;
      const { status, body } = await ask({ ...call, expected: [404] });
      return status === 404 ? undefined : (body as Kind);
    },
    async create(resource, object) {
      const what = `create ${resource.plural}/${object.metadata.name}`;
      const { status } = await ask({
        method: "POST",
        path: collection(resource),
        body: object,
        expected: [409],
        what,
      });
      return status !== 409;
    },
    async patch(resource, name, patch) {
      const what = `change ${resource.plural}/${name}`;
      const { status } = await ask({
        method: "PATCH",
        path: pathOf(resource, name),
        body: patch,
        expected: [404, 409],
        what,
      });
      return status < 300;
    },
    async remove(resource, name, uid) {
      await ask({
        method: "DELETE",
        path: pathOf(resource, name),
        body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } },
        expected: [404, 409],
        what: `remove ${resource.plural}/${name}`,
      });
    },
  };
}

function reasonOf(error: Error): string {
  return error.message || String((error as { code?: string }).code);
}

/** What the API says; it never repeats what was sent to it in a Secret's data. */
function messageOf({ status, body }: Answer): string {
  const message = (body as { message?: unknown } | undefined)?.message;
  return typeof message === "string" ? message : `it answers ${status}`;
}

function refusal(what: string, answer: Answer): string {
  const said = `The Kubernetes API refuses to ${what}: ${messageOf(answer)}`;
  switch (answer.status) {
    case 401:
    case 403:
      return `${said}. The Role and the RoleBinding of the chart's service account setup give it that right: bring them back with helm upgrade.`;
    case 404:
      return `${said}. The cluster does not know this kind of objects: install what brings it (for requestauthentications Istio), or switch it off (istio.enabled=false).`;
    default:
      return `${said} (${answer.status}).`;
  }
}
