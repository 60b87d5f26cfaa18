/** A small HTTPS server that takes and answers a client's calls as the Kubernetes API does; it knows nothing of the objects. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Of 127.0.0.1, signed by itself; it guards nothing. */
const certificate = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgA7wmo5gCfhS1wgGJ
fXMD1B5CGmOjzy1cmU1S4s0ZLx6hRANCAAT/dFaRxE62ewxC8xP31fVz1vL7LA7P
7OeVak0EKIC/+OwqAMeb1pLgWWueviwFv8u69Yek7nW/D9sxVmj+IBy1
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBkjCCATigAwIBAgIUM9ylklW8eMOoJR6J2Fl/LpgmaCIwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKc2V0dXAgdGVzdDAgFw0yNjExMjExNDAyMTFaGA8yMTI2MTAy
ODE0MDIxMVowFTETMBEGA1UEAwwKc2V0dXAgdGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABP90VpHETrZ7DELzE/fV9XPW8vssDs/s55VqTQQogL/47CoAx5vW
kuBZa56+LAW/y7r1h6Tudb8P2zFWaP4gHLWjZDBiMB0GA1UdDgQWBBQ+IwBCP+e9
KTMrpitgLA6Z02JtyzAfBgNVHSMEGDAWgBQ+IwBCP+e9KTMrpitgLA6Z02JtyzAP
BgNVHRMBAf8EBTADAQH/MA8GA1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0EAwIDSAAw
RQIgB/W8xTDjTKe6FcnxSX9xNpFgKJb/9HvRI2C4U5bXHwwCIQCaKMYh2RzZhjbl
fvPo2pRTxjDsnE6W1XFYzf5SmQsJMA==
-----END CERTIFICATE-----
`,
};

interface Stored {
  metadata: { name: string; uid: string; resourceVersion: string; [field: string]: unknown };
  [field: string]: unknown;
}

/** What a call brings: an object, a patch, or conditions of a removal. */
interface Sent {
  metadata: { name?: string; resourceVersion?: string };
  preconditions?: { uid: string };
  [field: string]: unknown;
}

export interface ApiServer {
  url: string;
  /** The folder that a service account's pod has. */
  accountFolder: string;
  /** Answers the next requests with these statuses in place of what they ask for. */
  failNext(...statuses: number[]): void;
  /** From now on this token alone is let in. */
  setToken(token: string, options?: { file: boolean }): Promise<void>;
  /** The calls so far, e.g. "POST /api/v1/namespaces/shop/secrets". */
  calls: string[];
  stop(): Promise<void>;
}

/** Starts it with the namespace "shop". */
export async function startApiServer(): Promise<ApiServer> {
  const accountFolder = await mkdtemp(join(tmpdir(), "crowdcrunch-account-"));
  const objects = new Map<string, Stored>();
  const calls: string[] = [];
  let failures: number[] = [];
  let token = "first";
  let version = 0;
  await writeFile(join(accountFolder, "ca.crt"), certificate.cert);
  await writeFile(join(accountFolder, "namespace"), "shop\n");
  await writeFile(join(accountFolder, "token"), token);

  function answer(method: string, path: string, body: Sent): [status: number, body: unknown] {
    const found = objects.get(path);
    const status = (code: number, message: string): [number, unknown] => [code, { kind: "Status", code, message }];
    const keep = (at: string, object: Omit<Stored, "metadata"> & { metadata: object }): Stored => {
      const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++version) } } as Stored;
      if (stored["stringData"]) {
        const data = Object.entries(stored["stringData"]).map(([key, text]) => [
          key,
          Buffer.from(text as string).toString("base64"),
        ]);
        stored["data"] = { ...(stored["data"] as object), ...Object.fromEntries(data) };
        delete stored["stringData"];
      }
      objects.set(at, stored);
      return stored;
    };
    if (method === "POST") {
      const at = `${path}/${body.metadata.name}`;
      if (objects.has(at)) return status(409, `${body.metadata.name} already exists`);
      return [201, keep(at, { ...body, metadata: { ...body.metadata, uid: `uid-${version + 1}` } })];
    }
    if (!found) return status(404, "not found");
    if (method === "GET") return [200, found];
    if (method === "DELETE") {
      if (body.preconditions?.uid !== found.metadata.uid) return status(409, "another uid");
      objects.delete(path);
      return [200, { kind: "Status" }];
    }
    const { resourceVersion } = body.metadata;
    if (resourceVersion !== undefined && resourceVersion !== found.metadata.resourceVersion) {
      return status(409, "the object has been modified");
    }
    return [200, keep(path, merge(found, body) as Stored)];
  }

  const server = createServer(certificate, (request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => void (text += chunk.toString()));
    request.on("end", () => {
      const { method = "", url: path = "" } = request;
      calls.push(`${method} ${path}`);
      const failure = failures.shift();
      const [status, body] =
        failure !== undefined
          ? [failure, { kind: "Status", message: `fails with ${failure}` }]
          : request.headers.authorization !== `Bearer ${token}`
            ? [401, { kind: "Status", message: "Unauthorized" }]
            : method === "PATCH" && request.headers["content-type"] !== "application/merge-patch+json"
              ? [415, { kind: "Status", message: "unsupported" }]
              : answer(method, path, text === "" ? { metadata: {} } : (JSON.parse(text) as Sent));
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accountFolder,
    failNext: (...statuses) => void (failures = statuses),
    async setToken(next, { file } = { file: true }) {
      token = next;
      if (file) await writeFile(join(accountFolder, "token"), next);
    },
    calls,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(accountFolder, { recursive: true });
    },
  };
}

/** JSON merge patch, RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const merged: Record<string, unknown> = { ...(target as object) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key] ?? {}, value);
  }
  return merged;
}
