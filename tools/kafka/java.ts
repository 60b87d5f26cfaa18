import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** The oldest Java that Kafka's broker runs on. */
const oldestJava = 17;

export interface Java {
  /** The program `java`, as it is called. */
  program: string;
  /** Its full version, e.g. "17.0.15". */
  version: string;
}

/** The Java of JAVA_HOME, else that of the PATH; or the sentence that says why there is none to run Kafka with. */
export function findJava(environment: NodeJS.ProcessEnv): Java | string {
  const home = environment.JAVA_HOME;
  const atHome = home && join(home, "bin/java");
  const program = atHome && existsSync(atHome) ? atHome : "java";
  const { status, stderr } = spawnSync(program, ["-version"], { encoding: "utf8", env: environment });
  const version = status === 0 ? /version "([^"]+)"/.exec(stderr)?.[1] : undefined;
  if (version === undefined)
    return `there is no Java; Kafka's broker needs Java ${oldestJava} (on Debian: apt install openjdk-17-jre-headless)`;
  if (Number.parseInt(version, 10) < oldestJava)
    return `the Java here is ${version}; Kafka's broker needs ${oldestJava} or newer`;
  return { program, version };
}

/** True where Maven answers. */
export function hasMaven(environment: NodeJS.ProcessEnv): boolean {
  return spawnSync("mvn", ["--version"], { stdio: "ignore", env: environment }).status === 0;
}
