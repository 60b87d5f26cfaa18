import type { Logger } from "@crowdcrunch/kit/logger";
import type { Metrics } from "@crowdcrunch/kit/metrics";
import { pollingWorker } from "@crowdcrunch/kit/worker";
import type { Worker } from "@crowdcrunch/kit/worker";
import type { Commands } from "./commands.ts";
import { foregoneOutcome } from "./payment.ts";
import type { DueOperation } from "./payment.ts";
import { idempotencyKey } from "./provider.ts";
import type { PaymentProvider, Report } from "./provider.ts";

export interface OperationsWorkerOptions {
  commands: Commands;
  provider: PaymentProvider;
  /** Most operations at the provider at a time. */
  concurrency: number;
  /** Where the shopper goes after an action of the card's bank, without the order's number. */
  returnUrl: string;
  log: Logger;
  metrics: Metrics;
}

/** How often it is looked whether others have ended. */
const lookEveryMs = 1_000;

/** More than these in memory are left to be claimed when their lease ends. */
const queueAtMost = 5_000;

/**
 * Does operations at the provider, several at a time and with no transaction open: those that instructions hand over,
 * and those that it claims because they follow another, are to be looked up, or were left by a crash.
 */
export function operationsWorker(options: OperationsWorkerOptions): Worker {
  const { commands, log, concurrency } = options;
  const seconds = options.metrics.histogram(
    "crowdcrunch_payment_operation_seconds",
    "Time from asking the provider to the stored outcome",
    ["kind"],
  );
  const queue: DueOperation[] = [];
  const running = new Set<Promise<void>>();
  let stopped = false;
  let lookedMs = Number.NEGATIVE_INFINITY;
  /** The last claim took all that it could: there may be more. */
  let backlog = false;

  function startQueued(): void {
    while (!stopped && running.size < concurrency) {
      const due = queue.shift();
      if (!due) return;
      const done = seconds.startTimer({ kind: due.kind });
      const work: Promise<void> = perform(options, due)
        .catch((error: Error) =>
          log.warn(
            { key: idempotencyKey(due), error: error.message },
            "an operation is taken up again when its lease ends",
          ),
        )
        .finally(() => {
          done();
          running.delete(work);
          startQueued();
          if (backlog) claimer.nudge();
        });
      running.add(work);
    }
  }

  const claimer = pollingWorker({
    name: "operations",
    intervalMs: 1_000,
    log,
    async round() {
      if (performance.now() - lookedMs >= lookEveryMs) {
        lookedMs = performance.now();
        const abandoned = await commands.releaseAbandoned();
        if (abandoned > 0) log.info({ abandoned }, "operations are taken over from a process that has ended");
      }
      const free = concurrency - running.size - queue.length;
      if (free <= 0) return;
      const claimed = await commands.claim(free);
      backlog = claimed.length === free;
      queue.push(...claimed);
      startQueued();
    },
  });

  commands.onOperations({
    begin(operations) {
      if (stopped) return;
      queue.push(...operations.slice(0, Math.max(0, queueAtMost - queue.length)));
      startQueued();
    },
    nudge: claimer.nudge,
  });

  return {
    start: claimer.start,
    async stop() {
      stopped = true;
      await claimer.stop();
      await Promise.all(running);
      await options.provider.close();
    },
  };
}

async function perform({ commands, provider, returnUrl }: OperationsWorkerOptions, due: DueOperation): Promise<void> {
  const { orderId, currency, providerId, amountMinor } = due;
  const request = { idempotencyKey: idempotencyKey(due), orderId, currency, providerId };
  // Somebody has taken it up before and may have sent it: ask before sending it again.
  const earlier = due.tries > 1 ? await provider.lookUp(request) : undefined;
  if (earlier) {
    await commands.settle({ report: earlier, source: "look-up" });
    return;
  }
  const foregone = foregoneOutcome(due);
  await commands.settle({ report: foregone ? { ...request, outcome: foregone } : await send(), source: "reply" });

  function send(): Promise<Report> {
    switch (due.kind) {
      case "AUTHORIZE":
        return provider.authorize({
          ...request,
          amountMinor,
          orderNumber: due.orderNumber,
          token: due.token ?? "",
          returnUrl: `${returnUrl}${due.orderNumber}`,
        });
      case "CAPTURE":
        return provider.capture({ ...request, amountMinor });
      case "VOID":
        return provider.void(request);
      case "REFUND":
        return provider.refund({ ...request, amountMinor });
    }
  }
}
