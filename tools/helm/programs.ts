/**
 * The programs that render and judge the chart, at the versions in the go.mod beside this file: those on PATH where they
 * fit, else built by Go, once for all checkouts of a user.
 */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { alone } from "../alone.ts";
import { cacheFolder } from "../cache.ts";
import { Problem } from "../environment.ts";

/** Paths or names of programs, as they are called. */
export interface HelmPrograms {
  /** helm 4. */
  helm: string;
  /** helm 3. */
  helm3: string;
  kubeconform: string;
}

interface Program {
  name: keyof HelmPrograms;
  module: string;
  package: string;
  /** The variable that Go's linker gives the version to. */
  versionVariable: string;
  /** Names under which it may be on PATH. */
  commands: string[];
  /** Arguments by which it prints its version and nothing else. */
  askVersion: string[];
}

const helmCommand = (major: 3 | 4) => ({
  module: `helm.sh/helm/v${major}`,
  package: `helm.sh/helm/v${major}/cmd/helm`,
  versionVariable: `helm.sh/helm/v${major}/internal/version.version`,
  askVersion: ["version", "--template", "{{.Version}}"],
});

const programs: Program[] = [
  { name: "helm", commands: ["helm", "helm4"], ...helmCommand(4) },
  { name: "helm3", commands: ["helm", "helm3"], ...helmCommand(3) },
  {
    name: "kubeconform",
    commands: ["kubeconform"],
    module: "github.com/yannh/kubeconform",
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    versionVariable: "main.version",
    askVersion: ["-v"],
  },
];

const moduleFolder = fileURLToPath(new URL(".", import.meta.url));
const buildMinutes = 20;

/** A program's version in go.mod, e.g. "v4.2.4". */
function pinnedVersion(program: Program): string {
  const lines = readFileSync(join(moduleFolder, "go.mod"), "utf8").split("\n");
  const line = lines.map((text) => text.trim().split(/\s+/)).find(([module]) => module === program.module);
  if (!line?.[1]) throw new Problem(`tools/helm/go.mod names no version of ${program.module}: run go mod tidy there.`);
  return line[1];
}

function builtProgram(program: Program, environment: NodeJS.ProcessEnv): string {
  return join(cacheFolder(environment, "helm"), `${program.name}-${pinnedVersion(program)}`);
}

/** The command on PATH of the pinned major and minor version; undefined where there is none. */
function onPath(program: Program, environment: NodeJS.ProcessEnv): string | undefined {
  const [wanted] = /^v\d+\.\d+\./.exec(pinnedVersion(program))!;
  return program.commands.find((command) => {
    const { stdout } = spawnSync(command, program.askVersion, { encoding: "utf8", env: environment, timeout: 10_000 });
    return stdout?.trim().startsWith(wanted);
  });
}

function existing(program: Program, environment: NodeJS.ProcessEnv): string | undefined {
  const built = builtProgram(program, environment);
  return existsSync(built) ? built : onPath(program, environment);
}

/** Why Go cannot be had to build with, and to fetch modules; undefined where it can. */
export function goMissing(environment: NodeJS.ProcessEnv): string | undefined {
  // In the folder of go.mod, where a Go that is too old fetches a newer one, or says that it may not.
  const go = spawnSync("go", ["version"], { cwd: moduleFolder, encoding: "utf8", env: goEnvironment(environment) });
  if (go.status === 0) return undefined;
  const why = go.error ? "there is no Go" : go.stderr.trim();
  return `${why}; it is needed to build helm and kubeconform once (https://go.dev/dl)`;
}

/** Why there is no helm, no helm 3 or no kubeconform on this machine, and none can be built; undefined otherwise. */
export function programsMissing(environment: NodeJS.ProcessEnv): string | undefined {
  const absent = programs.filter((program) => existing(program, environment) === undefined);
  const why = absent.length > 0 && goMissing(environment);
  if (!why) return undefined;
  return `no ${absent.map((program) => `${program.name} ${pinnedVersion(program)}`).join(", no ")} is here, and ${why}`;
}

/**
 * helm, helm 3 and kubeconform, built where they are missing, which takes minutes; `say` is told. Several may ask at
 * once. Throws a Problem where they cannot be had.
 */
export async function helmPrograms(
  say: (sentence: string) => void,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<HelmPrograms> {
  const missing = programsMissing(environment);
  if (missing) throw new Problem(`The chart cannot be rendered: ${missing}.`);
  const found: Partial<HelmPrograms> = {};
  for (const program of programs) {
    found[program.name] = existing(program, environment) ?? (await build(program, environment, say));
  }
  return found as HelmPrograms;
}

async function build(program: Program, environment: NodeJS.ProcessEnv, say: (sentence: string) => void) {
  const built = builtProgram(program, environment);
  mkdirSync(cacheFolder(environment, "helm"), { recursive: true });
  await alone(join(cacheFolder(environment, "helm"), "building.lock"), say, async () => {
    if (existsSync(built)) return;
    const version = pinnedVersion(program);
    say(`Building ${program.name} ${version} by Go (once, some minutes) …`);
    const startedAt = performance.now();
    // Built beside its place and then renamed: whole or not at all.
    const unfinished = `${built}.${process.pid}`;
    const flags = ["-trimpath", "-buildvcs=false", "-ldflags", `-s -w -X ${program.versionVariable}=${version}`];
    await promisify(execFile)("go", ["build", ...flags, "-o", unfinished, program.package], {
      cwd: moduleFolder,
      env: goEnvironment(environment),
      timeout: buildMinutes * 60_000,
      maxBuffer: 10e6,
    }).catch(({ killed, stderr, message }: { killed?: boolean; stderr?: string; message: string }) => {
      rmSync(unfinished, { force: true });
      const why = killed ? `it took more than ${buildMinutes} minutes` : stderr?.trim() || message;
      throw new Problem(`Go could not build ${program.name} ${version}: ${why}`);
    });
    renameSync(unfinished, built);
    say(`${program.name} is built, after ${Math.round((performance.now() - startedAt) / 1000)} s.`);
  });
  return built;
}

/** Programs without C, from exactly the modules in go.mod and go.sum. */
export function goEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...environment, CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "-mod=readonly" };
}
