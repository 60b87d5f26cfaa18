import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";

export type { Logger } from "pino";

/**
 * JSON lines on stdout: level, time, service, msg and what the call adds. Names of secrets are redacted. Lines are
 * written behind the caller's back, unless `sync` has each written before the call returns.
 */
export function createLogger(options: {
  service: string;
  level: string;
  sync?: boolean;
  destination?: DestinationStream;
}): Logger {
  const settings = {
    level: options.level,
    base: { service: options.service },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: ["password", "token", "authorization", "cookie", "*.password", "*.token", "*.authorization", "*.cookie"],
  };
  const destination = options.destination ?? (options.sync ? pino.destination({ sync: true }) : undefined);
  return destination ? pino(settings, destination) : pino(settings);
}
