import { Client, escapeIdentifier } from "pg";
import type { ClientConfig } from "pg";
import { connectionSettings } from "../database.ts";
import type { Logger } from "../logger.ts";

/** Called with a notification's channel and payload; without them after each new connection, when some may be missed. */
export type Heard = (channel?: string, payload?: string) => void;

/**
 * The one connection on which a log listens, polls and keeps its leases, so that these never wait for the service's
 * pool. It connects with the first query, and again with the first query after it was lost.
 */
export interface Control {
  query<Row>(statement: { name: string; text: string }, values: unknown[]): Promise<Row[]>;
  /** Returns what ends the listening. */
  listen(channels: string[], heard: Heard): () => void;
  close(): Promise<void>;
}

export function openControl(options: { url: string; applicationName: string; log: Logger }): Control {
  const settings: ClientConfig = {
    ...connectionSettings(options),
    pipeline: true,
    // What is lost here in a crash of the database (offsets, leases) is only done again.
    options: "-c synchronous_commit=off",
    // A connection that has died unnoticed is found by its silence.
    query_timeout: 10_000,
  };
  const listeners = new Map<Heard, string[]>();
  let current: Promise<Client> | undefined;
  let closed = false;

  async function connect(): Promise<Client> {
    const client = new Client(settings);
    const forget = () => {
      if (current === attempt) current = undefined;
    };
    client.on("error", (error) => {
      options.log.warn({ error: error.message }, "the event log's connection failed");
      forget();
    });
    client.on("end", forget);
    client.on("notification", ({ channel, payload }) => {
      for (const [heard, channels] of listeners) if (channels.includes(channel)) heard(channel, payload);
    });
    const attempt = current;
    try {
      await client.connect();
      const channels = new Set([...listeners.values()].flat());
      if (channels.size > 0) await client.query(listenTo(channels));
      for (const heard of listeners.keys()) heard();
      return client;
    } catch (error) {
      forget();
      void client.end().catch(() => {});
      throw error;
    }
  }

  function connected(): Promise<Client> {
    if (closed) return Promise.reject(new Error("the event log is closed"));
    if (current) return current;
    const { promise, resolve } = Promise.withResolvers<Client>();
    current = promise;
    resolve(connect());
    return promise;
  }

  return {
    async query(statement, values) {
      const client = await connected();
      return (await client.query({ ...statement, values })).rows;
    },
    listen(channels, heard) {
      listeners.set(heard, channels);
      // Where this fails the connection is lost, and the next one listens to all.
      void current?.then((client) => client.query(listenTo(channels))).catch(() => {});
      return () => void listeners.delete(heard);
    },
    async close() {
      closed = true;
      await current?.then((client) => client.end()).catch(() => {});
    },
  };
}

function listenTo(channels: Iterable<string>): string {
  return [...channels].map((channel) => `LISTEN ${escapeIdentifier(channel)}`).join(";");
}
