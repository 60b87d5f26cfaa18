import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attemptHasFailed, deliveryIsSent, retryAfterMs } from "./mailing.ts";
import type { DigitalDelivery, Effects, Fulfillment, Shipment } from "./fulfillment.ts";
import { noEffects } from "./fulfillment.ts";
import { deliver, dispatch, lose } from "./shipping.ts";
import { stop } from "./stopping.ts";

const at = new Date("2026-03-01T12:00:00Z");
const uuid = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;
const shipTo = { name: "A", line1: "1", city: "X", postalCode: "1", countryCode: "GB" };
const [physicalA, physicalB, digital] = [uuid(1), uuid(2), uuid(3)];
const ordered = { [physicalA]: 5, [physicalB]: 3, [digital]: 2 };

function parcel(id: string): Shipment {
  const line = (lineId: string) => ({ lineId, skuId: uuid(9), name: "Mug", quantity: ordered[lineId]!, cancelled: 0 });
  return {
    id,
    orderId: uuid(100),
    trackingCode: "CC1",
    status: "TO_PACK",
    shippingMethod: "standard",
    shipTo,
    createdAt: at,
    dispatchedAt: null,
    deliveredAt: null,
    lostAt: null,
    lines: [line(physicalA), line(physicalB)],
  };
}

function fulfillment(): Fulfillment {
  const delivery: DigitalDelivery = {
    id: uuid(300),
    orderId: uuid(100),
    status: "TO_SEND",
    attempts: 0,
    sentAt: null,
    lines: [{ id: uuid(301), lineId: digital, name: "Atlas", quantity: ordered[digital]!, cancelled: 0 }],
  };
  return {
    orderId: uuid(100),
    customerId: uuid(101),
    orderNumber: "7K3QDX2M9A",
    version: 1,
    shipments: [parcel(uuid(200))],
    deliveries: [delivery],
  };
}

/** Something that staff, the carrier, the mailing worker or a cancellation may try. */
type Step = { does: string; pick: number; units: number; line: number };

const step: fc.Arbitrary<Step> = fc.record({
  does: fc.constantFrom("dispatch", "dispatchPart", "deliver", "lose", "stop", "claim", "sent", "failed"),
  pick: fc.nat(5),
  units: fc.integer({ min: 1, max: 6 }),
  line: fc.nat(2),
});

function take(state: Fulfillment, { does, pick, units, line }: Step, effects: Effects, minted: string): void {
  const shipment = state.shipments[pick % state.shipments.length]!;
  const [delivery] = state.deliveries as [DigitalDelivery];
  const lineId = [physicalA, physicalB, digital][line]!;
  const mint = { id: minted, trackingCode: `CC${minted}` };
  if (does === "dispatch") dispatch(state, shipment, { parts: null, minted: mint, at }, effects);
  if (does === "dispatchPart") {
    dispatch(state, shipment, { parts: [{ lineId, quantity: units }], minted: mint, at }, effects);
  }
  if (does === "deliver") deliver(state, shipment, { at }, effects);
  if (does === "lose") lose(state, shipment, { at }, effects);
  if (does === "stop") stop(state, { cancellationId: uuid(400), lines: [{ lineId, quantity: units }] }, effects);
  if (does === "claim" && delivery.status === "TO_SEND") {
    delivery.status = "SENDING";
    delivery.attempts += 1;
  }
  if (does === "sent") deliveryIsSent(state, delivery, at, effects);
  if (does === "failed") {
    const failure = {
      attempt: delivery.attempts,
      attemptsAtMost: 3,
      code: "MAIL_FAILED",
      permanent: false,
      detail: "",
    };
    attemptHasFailed(state, delivery, failure, effects);
  }
}

function units(lines: { lineId: string; quantity: number }[], lineId: string): number {
  return lines.filter((line) => line.lineId === lineId).reduce((sum, { quantity }) => sum + quantity, 0);
}

function told(effects: Effects, name: string, lineId: string): number {
  const events = effects.events.filter(({ type }) => type === `fulfillment.${name}.v1`);
  return units(
    events.flatMap(({ data }) => (data as { lines: { lineId: string; quantity: number }[] }).lines),
    lineId,
  );
}

describe("an order's fulfillment, whatever is tried in whatever order", () => {
  test("keeps every unit, tells each fate once and counts its events without gap", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const state = fulfillment();
        const effects = noEffects();
        for (const [index, one] of steps.entries()) {
          const before = JSON.stringify([state, effects]);
          try {
            take(state, one, effects, uuid(1_000 + index));
          } catch {
            // What is refused has changed nothing.
            expect(JSON.stringify([state, effects])).toBe(before);
          }
        }
        expect(effects.events.map(({ sequence }) => sequence)).toEqual(effects.events.map((_, index) => index + 2));
        expect(state.version).toBe(effects.events.length + 1);
        for (const [lineId, quantity] of Object.entries(ordered)) {
          const all = [...state.shipments, ...state.deliveries].flatMap(({ lines }) => lines as Shipment["lines"]);
          const own = all.filter((line) => line.lineId === lineId);
          expect(own.every((line) => line.quantity >= 0 && line.cancelled >= 0)).toBe(true);
          expect(own.reduce((sum, line) => sum + line.quantity + line.cancelled, 0)).toBe(quantity);
          const gone =
            told(effects, "shipment-dispatched", lineId) +
            told(effects, "digital-delivery-sent", lineId) +
            told(effects, "digital-delivery-failed", lineId);
          const stopped = told(effects, "shipment-cancelled", lineId);
          expect(stopped).toBe(own.reduce((sum, line) => sum + line.cancelled, 0));
          expect(gone + stopped).toBeLessThanOrEqual(quantity);
          const ended = told(effects, "shipment-delivered", lineId) + told(effects, "shipment-lost", lineId);
          expect(ended).toBeLessThanOrEqual(told(effects, "shipment-dispatched", lineId));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("answers each unit of a cancellation exactly once", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 12 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(2),
        (steps, wanted, line) => {
          const state = fulfillment();
          for (const [index, one] of steps.entries()) {
            try {
              take(state, one, noEffects(), uuid(1_000 + index));
            } catch {
              // Refused: see above.
            }
          }
          const lineId = [physicalA, physicalB, digital][line]!;
          const effects = noEffects();
          stop(state, { cancellationId: uuid(400), lines: [{ lineId, quantity: wanted }] }, effects);
          const answered = told(effects, "shipment-cancelled", lineId) + told(effects, "cancellation-refused", lineId);
          expect(answered).toBe(wanted);
        },
      ),
    );
  });
});

describe("dispatching in parts", () => {
  test("makes a parcel of what goes and leaves the rest to pack", () => {
    const state = fulfillment();
    const minted = { id: uuid(201), trackingCode: "CC2" };
    const parts = [{ lineId: physicalA, quantity: 2 }];
    const { dispatched, remaining } = dispatch(state, state.shipments[0]!, { parts, minted, at }, noEffects());
    expect(dispatched).toMatchObject({ id: uuid(201), status: "DISPATCHED", lines: [{ quantity: 2 }] });
    expect(remaining).toMatchObject({ id: uuid(200), status: "TO_PACK", lines: [{ quantity: 3 }, { quantity: 3 }] });
  });

  test.each([
    ["no line", []],
    ["a line that is not in it", [{ lineId: digital, quantity: 1 }]],
    [
      "a line twice",
      [
        { lineId: physicalA, quantity: 1 },
        { lineId: physicalA, quantity: 1 },
      ],
    ],
    ["too many", [{ lineId: physicalA, quantity: 6 }]],
    ["none", [{ lineId: physicalA, quantity: 0 }]],
    ["fewer than none", [{ lineId: physicalA, quantity: -1 }]],
  ])("refuses %s", (_, parts) => {
    const state = fulfillment();
    const minted = { id: uuid(201), trackingCode: "CC2" };
    expect(() => dispatch(state, state.shipments[0]!, { parts, minted, at }, noEffects())).toThrow(
      expect.objectContaining({ typename: "InvalidInput" }),
    );
  });
});

describe("mailing", () => {
  test("waits twice as long after each failure, at most an hour", () => {
    expect([1, 2, 3, 4].map((attempts) => retryAfterMs(attempts, 5_000))).toEqual([5_000, 10_000, 20_000, 40_000]);
    expect(retryAfterMs(1_000, 5_000)).toBe(3_600_000);
  });

  test("an outcome that comes after another worker has taken over changes nothing", () => {
    const state = fulfillment();
    const [delivery] = state.deliveries as [DigitalDelivery];
    Object.assign(delivery, { status: "SENDING", attempts: 2 });
    const effects = noEffects();
    const failure = { attempt: 1, attemptsAtMost: 1, code: "MAIL_FAILED", permanent: true, detail: "late" };
    expect(attemptHasFailed(state, delivery, failure, effects)).toBe(false);
    expect(delivery.status).toBe("SENDING");
    deliveryIsSent(state, delivery, at, effects);
    deliveryIsSent(state, delivery, at, effects);
    expect(effects.events.map(({ type }) => type)).toEqual(["fulfillment.digital-delivery-sent.v1"]);
  });
});
