import type { Faults } from "@crowdcrunch/kit/faults";
import type { SendCallback } from "./callbacks.ts";
import type { OperationRow } from "./store.ts";

/**
 * Passes `provider-api.callback` for an operation that is about to be answered: where a fault says so, a further callback
 * about it goes out before the answer, beside it or after it, or one that the shop must refuse.
 */
export async function passCallback(
  faults: Faults,
  operation: OperationRow,
  detail: () => string,
  send: SendCallback,
): Promise<void> {
  const fault = await faults.at("provider-api.callback", detail);
  switch (fault?.action) {
    case "before":
      return send(operation);
    case "twice":
      return void Promise.all([send(operation), send(operation)]);
    case "late":
      return void setTimeout(() => void send(operation), fault.delayMs).unref();
    case "forged":
      return send(operation, { forged: true });
    case "other-amount":
      return send({ ...operation, amountMinor: operation.amountMinor + 1 });
  }
}
