import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inspect, receive } from "./inspecting.ts";
import { approve, checkDemand, checkReplacements, reject, request } from "./requesting.ts";
import type { Effects, Exchange, Order } from "./return.ts";
import { nextWorthMinor, noEffects, returnable } from "./return.ts";
import { refundIsSettled, replacementHasFailed, replacementIsCompleted, replacementIsPlaced } from "./settling.ts";

const at = new Date("2026-03-01T12:00:00Z");
const uuid = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;
const [mug, bowl] = [uuid(1), uuid(2)];
const terms = { now: at, days: 30, staff: false };

function newOrder(): Order {
  const line = (lineId: string, quantity: number, paidMinor: number) => {
    const arrived = { delivered: quantity, deliveredAt: at, pending: 0, returned: 0 };
    return { lineId, skuId: uuid(9), name: "Mug", quantity, paidMinor, ...arrived };
  };
  return {
    orderId: uuid(100),
    customerId: uuid(101),
    number: "7K3QDX2M9A",
    currency: "GBP",
    lines: [line(mug, 7, 1_000), line(bowl, 3, 299)],
    returns: [],
    exchanges: [],
  };
}

const demandOf = (id: string, lines: { lineId: string; quantity: number }[], exchangeId?: string) => ({
  ...{ id, number: `R-${id.slice(-6)}`, lines, reason: "OTHER", comment: null, externalReference: null },
  ...(exchangeId
    ? { exchange: { id: exchangeId, replacements: [{ skuId: uuid(9), quantity: 1 }], paymentToken: "tok" } }
    : {}),
});

test("units are worth exactly what was paid when all came back, in whatever portions", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 7, maxLength: 7 }),
      fc.nat(10_000),
      (parts, paid) => {
        const line = { ...newOrder().lines[0]!, paidMinor: paid };
        let sum = 0;
        for (const part of parts) {
          const units = Math.min(part, returnable(line));
          sum += nextWorthMinor(line, units);
          line.returned += units;
        }
        expect(sum).toBe(paid);
      },
    ),
  );
});

describe("what may be demanded", () => {
  test.each([
    ["no line", [], "InvalidInput"],
    ["a line of another order", [{ lineId: uuid(5), quantity: 1 }], "InvalidInput"],
    [
      "a line twice",
      [
        { lineId: mug, quantity: 1 },
        { lineId: mug, quantity: 1 },
      ],
      "InvalidInput",
    ],
    ["nothing of it", [{ lineId: mug, quantity: 0 }], "InvalidInput"],
    ["fewer than nothing", [{ lineId: mug, quantity: -2 }], "InvalidInput"],
    ["more than arrived", [{ lineId: mug, quantity: 8 }], "NotReturnable"],
    ["a huge quantity", [{ lineId: mug, quantity: 2_000_000_000 }], "InvalidInput"],
  ])("not %s", (_, lines, typename) => {
    expect(() => checkDemand(newOrder(), lines, terms)).toThrow(expect.objectContaining({ typename }));
  });

  test("until the last moment of the window, and by staff after it", () => {
    const lines = [{ lineId: mug, quantity: 1 }];
    const after = (ms: number, staff = false) => ({
      ...terms,
      staff,
      now: new Date(at.getTime() + 30 * 86_400_000 + ms),
    });
    checkDemand(newOrder(), lines, after(0));
    expect(() => checkDemand(newOrder(), lines, after(1))).toThrow(
      expect.objectContaining({ typename: "NotReturnable", fields: { lineId: mug, returnable: 0 } }),
    );
    checkDemand(newOrder(), lines, after(1, true));
  });

  test("replacements for what comes back alone", () => {
    const wanted = { skuId: uuid(9), quantity: 1 };
    const lines = [{ lineId: mug, quantity: 1 }];
    checkReplacements([{ ...wanted, replacesLineId: mug }], lines);
    for (const bad of [[], [{ ...wanted, quantity: 0 }], [{ ...wanted, replacesLineId: bowl }]]) {
      expect(() => checkReplacements(bad, lines)).toThrow(expect.objectContaining({ typename: "InvalidInput" }));
    }
  });
});

describe("an exchange", () => {
  function agreed() {
    const order = newOrder();
    const effects = noEffects();
    const given = request(order, demandOf(uuid(200), [{ lineId: mug, quantity: 7 }], uuid(300)), { at }, effects);
    approve(order, given, { at }, effects);
    return { order, effects, given, exchange: order.exchanges[0]! as Exchange };
  }
  const typesOf = (effects: Effects) => effects.events.map(({ type }) => type.split(".")[1]);
  const allOf = (disposition: "RESTOCK" | "REFUSED") => [{ lineId: mug, quantity: 7, disposition }];

  test("keeps the card's token no longer than until the replacement is ordered", () => {
    const { exchange, effects } = agreed();
    expect(exchange.paymentToken).toBeNull();
    expect(effects.events.at(-1)).toMatchObject({ data: { paymentToken: "tok", creditMinor: 1_000 } });
  });

  test("is not inspected before it is known whether there is a replacement", () => {
    const { order, given, effects } = agreed();
    receive(order, given, null, { at }, effects);
    expect(() => inspect(order, given, allOf("RESTOCK"), { at }, effects)).toThrow(
      expect.objectContaining({ typename: "NotPossible", fields: { state: "REPLACEMENT_PENDING" } }),
    );
  });

  test("without anything accepted calls the replacement off before it tells the inspection", () => {
    const { order, given, exchange, effects } = agreed();
    replacementIsPlaced(exchange, { orderId: uuid(700), totalMinor: 900 });
    receive(order, given, null, { at }, effects);
    inspect(order, given, allOf("REFUSED"), { at }, effects);
    expect(typesOf(effects).slice(-3)).toEqual(["replacement-withdrawn", "return-inspected", "return-settled"]);
    expect(effects.events.at(-2)!.data).not.toHaveProperty("exchangeId");
    expect([given.status, exchange.status]).toEqual(["SETTLED", "FAILED"]);
  });

  // The replacement's fate and the refund come on two keys, in either order.
  test.each([["failure first"], ["refund first"]])(
    "that fails after its inspection ends with the refund: %s",
    (order1) => {
      const { order, given, exchange, effects } = agreed();
      replacementIsPlaced(exchange, { orderId: uuid(700), totalMinor: 900 });
      receive(order, given, null, { at }, effects);
      inspect(order, given, allOf("RESTOCK"), { at }, effects);
      const fail = () => replacementHasFailed(order, exchange, { reason: "OUT_OF_STOCK", at }, effects);
      const refund = () =>
        refundIsSettled(order, given, { refundId: uuid(7), amountMinor: 1_000, reason: "RETURN", at }, effects);
      for (const act of order1 === "failure first" ? [fail, refund] : [refund, fail]) act();
      expect([given.status, given.refundedMinor, exchange.status]).toEqual(["SETTLED", 1_000, "FAILED"]);
      expect(typesOf(effects).filter((type) => type === "return-settled")).toHaveLength(1);
    },
  );

  test("settles with its return, and the difference that went back before is not the end of it", () => {
    const { order, given, exchange, effects } = agreed();
    replacementIsPlaced(exchange, { orderId: uuid(700), totalMinor: 900 });
    receive(order, given, null, { at }, effects);
    expect(replacementIsCompleted(order, exchange, at, effects)).toBe("wait");
    inspect(order, given, allOf("RESTOCK"), { at }, effects);
    refundIsSettled(order, given, { refundId: uuid(7), amountMinor: 100, reason: "DIFFERENCE", at }, effects);
    expect(given.status).toBe("SETTLING");
    expect(replacementIsCompleted(order, exchange, at, effects)).toBe("apply");
    expect(replacementIsCompleted(order, exchange, at, effects)).toBe("ignore");
    expect(effects.events.slice(-2).map(({ data }) => data)).toMatchObject([
      { differenceMinor: -100, replacementOrderId: uuid(700) },
      { refundedMinor: 100 },
    ]);
  });

  test("is called off with a return whose goods never came", () => {
    const { order, given, exchange, effects } = agreed();
    reject(order, given, { at, reason: "NOT_RECEIVED" }, effects);
    expect(typesOf(effects).slice(-2)).toEqual(["return-rejected", "replacement-withdrawn"]);
    expect(exchange.status).toBe("REJECTED");
    expect(returnable(order.lines[0]!)).toBe(7);
  });
});
