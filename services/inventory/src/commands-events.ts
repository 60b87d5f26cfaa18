import type { Transaction } from "@crowdcrunch/kit/database";
import { announceAvailability } from "./commands-stock.ts";
import type { StockEvent } from "./reservation.ts";
import { decide } from "./reservation.ts";
import { findLocation, lockOrderStock, lockSkuStock, saveStockChanges, takeReturned } from "./store-stock.ts";

/** Orders' instructions and returned goods, a batch at a time: loaded and locked, decided, saved and told. */
export function createEventCommands({ newId }: { newId: () => string }) {
  return {
    async moveStock(tx: Transaction, events: StockEvent[]): Promise<void> {
      const returns = events.filter((event) => event.type === "exchanges.return-inspected.v1");
      const instructions = events.filter((event) => event.type !== "exchanges.return-inspected.v1");
      const [orders, stock, cameBack, firstLocation] = await Promise.all([
        lockOrderStock(tx, {
          orderIds: instructions.map(({ data }) => data.orderId),
          withReservations: instructions.some(({ type }) => type !== "orders.order-placed.v1"),
        }),
        lockSkuStock(tx, events.flatMap(skusIn)),
        takeReturned(tx, returns.flatMap(linesToTake)),
        returns.length === 0 ? undefined : findLocation(tx, null),
      ]);
      const decision = decide({ orders, stock, cameBack, firstLocation }, events, newId);
      await saveStockChanges(tx, decision.changes);
      for (const event of decision.events) tx.emit(event);
      await announceAvailability(tx, decision.runningLow);
    },
  };
}

function skusIn(event: StockEvent): string[] {
  const lines = event.data.lines as { skuId: string; digital?: boolean }[];
  return lines.filter(({ digital }) => digital !== true).map(({ skuId }) => skuId);
}

function linesToTake({ data: { returnId, lines } }: Extract<StockEvent, { type: "exchanges.return-inspected.v1" }>) {
  return lines
    .filter(({ disposition }) => disposition !== "REFUSED")
    .map(({ lineId, disposition, quantity }) => ({ returnId, lineId, disposition, quantity }));
}
