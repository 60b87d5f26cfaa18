import { execFile } from "node:child_process";
import { mkdirSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { KafkaProgram } from "./program.ts";

export interface Certificate {
  /** PKCS #12, with the private key. */
  keyStore: { file: string; password: string };
  /** PEM; what a client trusts. */
  caFile: string;
}

/** Makes a certificate of 127.0.0.1 and localhost that signs itself, by Java's own keytool; for a week, for tests. */
export async function makeCertificate(folder: string, program: KafkaProgram): Promise<Certificate> {
  mkdirSync(folder, { recursive: true });
  const beside = join(dirname(program.program), "keytool");
  const keytool = existsSync(beside) ? beside : "keytool";
  const keyStore = { file: join(folder, "broker.p12"), password: "of-a-test" };
  const caFile = join(folder, "broker.pem");
  const store = ["-keystore", keyStore.file, "-storepass", keyStore.password, "-alias", "broker"];
  const subject = ["-dname", "CN=localhost", "-ext", "san=ip:127.0.0.1,dns:localhost"];
  const key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "7", "-storetype", "PKCS12"];
  await promisify(execFile)(keytool, ["-genkeypair", ...store, ...subject, ...key]);
  await promisify(execFile)(keytool, ["-exportcert", "-rfc", "-file", caFile, ...store]);
  return { keyStore, caFile };
}
