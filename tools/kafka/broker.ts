/** A broker of its own for whoever asks: throw-away, and to be killed, frozen and started again. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { moveInto } from "../cache.ts";
import { Problem } from "../environment.ts";
import { makeCertificate } from "./certificates.ts";
import type { Certificate } from "./certificates.ts";
import { freePorts } from "./free-ports.ts";
import { kafkaProgram } from "./program.ts";
import { prepareNode, servingLine } from "./server.ts";
import type { Account, Listener } from "./server.ts";

const startPatienceMs = 60_000;
const stopPatienceMs = 15_000;

export interface BrokerOptions {
  /** Where it serves; a free port where not given. Fixed for as long as the broker lives, restarts included. */
  port?: number;
  /** A second listener whose clients are told this port: for a proxy that stands in front of `ports.proxied`. */
  proxyPort?: number;
  /** Listeners with TLS and with TLS and SASL, and who may sign in there. */
  secured?: { accounts: Account[] };
  /** Most heap, in MiB; default 128. */
  heapMegabytes?: number;
  /** True: a topic that somebody asks for comes into being. Default false. */
  autoCreateTopics?: boolean;
  /** Told in words what takes its time. */
  say?: (sentence: string) => void;
}

export interface Broker {
  /** "127.0.0.1:<port>", as for KAFKA_BROKERS. */
  brokers: string[];
  ports: {
    plain: number;
    /** Leads its clients to `proxyPort`; where that was asked for. */
    proxied?: number;
    /** TLS without sign-in; where `secured` was asked for. */
    tls?: number;
    /** TLS with PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; where `secured` was asked for. */
    sasl?: number;
  };
  /** The certificate to trust, PEM; where `secured` was asked for. */
  caFile?: string;
  /** The pid of the Java process now. Throws while it does not run. */
  pid(): number;
  /** Ends it as `kill -9` does; resolves when it is gone. Its data stay. */
  kill(): Promise<void>;
  /** Asks it to end; resolves when it has. Its data stay. */
  stopServing(): Promise<void>;
  /** Starts it again on the same ports and data; resolves when it serves. */
  start(): Promise<void>;
  /** Stops its clocks, as a machine that hangs: connections stay open and nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Its log. */
  log(): string;
  /** The end of its log. */
  lastLines(): string;
  /** Ends it for good and removes its data. */
  stop(): Promise<void>;
}

/**
 * Starts a broker of Kafka's own jars in a temporary folder; resolves when it serves, after 3 to 5 s. It also ends when
 * this process ends, in whatever way. Throws a Problem where Kafka cannot be had.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  await readyKafka(options.say);
  return launchBroker(options);
}

/** Has Kafka's jars and the archive of its classes at hand. Throws a Problem where Kafka cannot be had. */
export async function readyKafka(say: (sentence: string) => void = () => {}): Promise<void> {
  const { archive } = await kafkaProgram(say);
  if (!existsSync(archive)) await archiveClasses(archive, say);
}

async function launchBroker(options: BrokerOptions, javaOptions: string[] = []): Promise<Broker> {
  const { proxyPort, secured } = options;
  const program = await kafkaProgram(options.say ?? (() => {}));
  const folder = mkdtempSync(join(tmpdir(), "crowdcrunch-kafka-"));
  const logFile = join(folder, "kafka.log");
  const [free, controllerPort, proxied, tls, sasl] = (await freePorts(5)) as [number, number, number, number, number];
  const plain = options.port ?? free;
  const listeners: Listener[] = [
    { name: "PLAIN", protocol: "PLAINTEXT", port: plain },
    ...(proxyPort === undefined
      ? []
      : [{ name: "PROXIED", protocol: "PLAINTEXT" as const, port: proxied, advertisedPort: proxyPort }]),
    ...(secured
      ? [
          { name: "TLS", protocol: "SSL" as const, port: tls },
          { name: "SASL", protocol: "SASL_SSL" as const, port: sasl },
        ]
      : []),
  ];
  let certificate: Certificate | undefined;
  let command: string[];
  try {
    certificate = secured && (await makeCertificate(join(folder, "certificate"), program));
    ({ command } = await prepareNode({
      folder,
      controllerPort,
      listeners,
      heapMegabytes: options.heapMegabytes ?? 128,
      autoCreateTopics: options.autoCreateTopics ?? false,
      ...(certificate ? { keyStore: certificate.keyStore } : {}),
      ...(secured ? { accounts: secured.accounts } : {}),
    }));
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  command.splice(1, 0, ...javaOptions);

  let child: ChildProcess | undefined;
  let watch: ChildProcess | undefined;
  const log = () => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "");
  const lastLines = () => log().trimEnd().split("\n").slice(-20).join("\n");
  const runs = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  const pid = () => {
    if (!runs()) throw new Error("the broker does not run");
    return child!.pid!;
  };

  async function start(): Promise<void> {
    if (runs()) throw new Error("the broker runs already");
    const before = log().length;
    const output = openSync(logFile, "a");
    const [program_, ...rest] = command;
    // Detached: an interrupt from the keyboard must reach the tests first.
    const started = spawn(program_!, rest, { cwd: folder, stdio: ["ignore", output, output], detached: true });
    closeSync(output);
    child = started;
    await once(started, "spawn");
    watch = watchOver(started.pid!, folder);
    started.once("exit", () => watch?.stdin?.end("ended\n"));
    const giveUpAt = performance.now() + startPatienceMs;
    while (!log().slice(before).includes(servingLine)) {
      if (started.exitCode !== null || started.signalCode !== null || performance.now() > giveUpAt) {
        if (runs()) started.kill("SIGKILL");
        throw new Problem(`Kafka did not start. The end of its log:\n${lastLines()}`);
      }
      await sleep(50);
    }
  }

  async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (!runs()) return;
    const ended = once(child!, "exit");
    child!.kill(signal);
    // One that is frozen hears nothing but this.
    const timer = setTimeout(() => child!.kill("SIGKILL"), stopPatienceMs);
    await ended;
    clearTimeout(timer);
  }

  async function stop(): Promise<void> {
    await end("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }

  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    brokers: [`127.0.0.1:${plain}`],
    ports: { plain, ...(proxyPort === undefined ? {} : { proxied }), ...(secured ? { tls, sasl } : {}) },
    ...(certificate ? { caFile: certificate.caFile } : {}),
    pid,
    kill: () => end("SIGKILL"),
    stopServing: () => end("SIGTERM"),
    start,
    freeze: () => void process.kill(pid(), "SIGSTOP"),
    thaw: () => void process.kill(pid(), "SIGCONT"),
    log,
    lastLines,
    stop,
  };
}

/** A shell that kills the broker and removes its folder when this process ends without having done so itself. */
function watchOver(pid: number, folder: string): ChildProcess {
  const script = 'read -r ended || { kill -9 "$1"; sleep 1; rm -rf "$2"; }';
  const watch = spawn("sh", ["-c", script, "sh", String(pid), folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watch.unref();
  (watch.stdin as unknown as { unref(): void }).unref();
  return watch;
}

/** Keeps the classes of one broker's life for those after it. What goes wrong costs nothing but their time. */
async function archiveClasses(archive: string, say: (sentence: string) => void): Promise<void> {
  say("Keeping Kafka's classes in an archive, so that it starts faster (once) …");
  const made = `${archive}.${process.pid}`;
  try {
    const broker = await launchBroker({}, [`-XX:ArchiveClassesAtExit=${made}`]);
    await broker.stop();
    moveInto(made, archive);
  } catch (error) {
    say(`That failed (${error instanceof Error ? error.message : error}); Kafka starts without it.`);
  } finally {
    rmSync(made, { force: true });
  }
}
