import { orderProgressed } from "@crowdcrunch/events/orders";
import type { Effects, Order } from "./order.ts";
import { onOrderKey } from "./order.ts";

/**
 * Tells what people see of an order and no event of these effects tells: else its version would stand still, and who
 * looks at it live would not learn that a card was declined. What is seen is noted in the timeline, always.
 */
export function tellProgress(orders: Order[], effects: Effects): void {
  const told = new Set(effects.events.map(({ subject }) => subject));
  const noted = new Map<string, string[]>();
  for (const { orderId, what } of effects.timeline) {
    if (!told.has(orderId)) noted.set(orderId, [...(noted.get(orderId) ?? []), what]);
  }
  for (const order of orders) {
    const what = noted.get(order.id);
    if (!what) continue;
    effects.events.push(orderProgressed.create({ ...onOrderKey(order), what }, { sequence: order.version }));
  }
}
