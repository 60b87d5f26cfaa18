import type { ServerResponse } from "node:http";

// The protocol of graphql-sse in distinct connections mode: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md

/** The headers of a stream; the last one keeps nginx from collecting it. */
export const streamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
};

/** A result as an event of the stream. */
export function nextEvent(result: string): string {
  return `event: next\ndata: ${result}\n\n`;
}

/** The last event. Browsers' EventSource does not see an event without data. */
export const completeEvent = "event: complete\ndata:\n\n";

const heartbeat = Buffer.from(":\n\n");

/** One client's stream. It holds at most what is on its way to the client, and the latest result beside it. */
export interface LiveStream {
  /** Sends a result when the client has taken the one before; a result that comes meanwhile takes its place. */
  send(event: Buffer): void;
  /** Sends what is left, the last events, and ends. */
  end(events: string): void;
  /** Lets proxies know that the stream lives, where nothing was sent for so long, in ms. */
  beat(afterMs: number): void;
  /** For how long the client has not taken what was sent, in ms; 0 where it has taken all. */
  stalledMs(): number;
  /** Breaks off without a word. */
  destroy(): void;
}

/** Writes a stream to a response whose headers are sent. */
export function openStream(response: ServerResponse, onSuperseded: () => void): LiveStream {
  let sentMs = performance.now();
  let isBusy = false;
  let isEnding = false;
  let latest: Buffer | undefined;
  let last: Buffer | undefined;
  // A client that is gone while it is written to; its close is what counts.
  response.on("error", () => {});

  // The callback comes when the system has taken all: what a slow client leaves lying is in its buffers, not in ours.
  function write(bytes: Buffer): void {
    if (response.destroyed) return;
    isBusy = true;
    sentMs = performance.now();
    response.write(bytes, () => {
      isBusy = false;
      flush();
    });
  }

  function flush(): void {
    if (isBusy) return;
    if (latest) {
      const bytes = latest;
      latest = undefined;
      write(bytes);
    } else if (last) {
      isBusy = true;
      sentMs = performance.now();
      response.end(last);
      last = undefined;
    }
  }

  return {
    send(event) {
      if (isEnding) return;
      if (latest) onSuperseded();
      latest = event;
      flush();
    },
    end(events) {
      if (isEnding) return;
      isEnding = true;
      last = Buffer.from(events);
      flush();
    },
    beat(afterMs) {
      if (!isBusy && !isEnding && performance.now() - sentMs >= afterMs) write(heartbeat);
    },
    stalledMs: () => (isBusy ? performance.now() - sentMs : 0),
    destroy: () => response.destroy(),
  };
}
