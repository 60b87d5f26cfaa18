import { setTimeout as sleep } from "node:timers/promises";
import type { GraphClient } from "./client.ts";
import { until } from "./patience.ts";
import { timelineLine } from "./words.ts";
import type { TimelineEntry } from "./words.ts";

const look = `query Timeline($number: String!) { order(number: $number) {
  status total { amountMinor currency }
  timeline { at what detail actor { role } }
  shipments { id status trackingCode }
} }`;

export interface FollowedOrder {
  status: string;
  total: { amountMinor: number; currency: string };
  timeline: TimelineEntry[];
  shipments: { id: string; status: string; trackingCode: string }[];
}

export interface Timeline {
  /** Resolves to the order once `reached` accepts it. Throws a Problem that says what did not come. */
  until(what: string, reached: (order: FollowedOrder) => boolean): Promise<FollowedOrder>;
  /** Prints what is left, and no more. */
  end(): Promise<void>;
}

const lookEveryMs = 150;

/** Looks at an order again and again, and says each new line of its timeline as it happens. */
export function followTimeline(
  graph: GraphClient,
  order: { number: string; token: string },
  say: (line: string) => void,
): Timeline {
  let said = 0;
  let ended = false;
  let latest: FollowedOrder | undefined;
  let failure: { error: unknown } | undefined;

  async function read(): Promise<void> {
    const { order: found } = await graph.ask<{ order: FollowedOrder }>(look, { number: order.number }, order.token);
    latest = found;
    const { timeline, total } = found;
    for (; said < timeline.length; said++)
      say(`  ${timelineLine(timeline[said]!, total.currency, timeline[said - 1])}`);
  }
  const following = (async () => {
    while (!ended) {
      await read();
      await sleep(lookEveryMs);
    }
    await read();
  })().catch((error: unknown) => {
    failure = { error };
  });

  return {
    until: (what, reached) =>
      until(what, async () => {
        if (failure) throw failure.error;
        return latest && reached(latest) ? latest : undefined;
      }),
    async end() {
      ended = true;
      await following;
    },
  };
}
