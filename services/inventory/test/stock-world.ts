import { randomUUID } from "node:crypto";
import type { EventToEmit } from "@crowdcrunch/events/contract";
import { returnInspected } from "@crowdcrunch/events/exchanges";
import { orderCancelled, orderPlaced, orderShipped } from "@crowdcrunch/events/orders";
import { testService } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { inventory } from "../src/service.ts";

export const newId = (): string => randomUUID();

/** The inventory service without any product. */
export const openInventory = (env: Record<string, string> = {}): Promise<TestService> =>
  testService(inventory, { env });

export interface Article {
  productId: string;
  skuId: string;
}

const importProducts = `mutation ($input: ImportProductsInput!) { importProducts(input: $input) { __typename
  ... on ProductsImported { created products { id skus { id code } } } ... on Problem { message } ... on InvalidInput { field } } }`;

export async function importAll(service: TestService, staff: string, products: object[]) {
  const answer = await service.graph(importProducts, { input: { products } }, { token: staff });
  if (!answer.data?.importProducts) throw new Error(JSON.stringify(answer.errors));
  return answer.data.importProducts;
}

/** A new article with so many units at the first location. */
export async function stocked(service: TestService, staff: string, stock: number): Promise<Article> {
  const code = newId().slice(0, 13);
  const product = { code, name: `Mug ${code}`, prices: [{ currency: "GBP", amountMinor: 1_250 }], stock };
  const { products } = await importAll(service, staff, [product]);
  return { productId: products[0].id, skuId: products[0].skus[0].id };
}

const moveStock = `mutation ($input: MoveStockInput!) { moveStock(input: $input) { __typename
  ... on StockMoved { sku { id availability stock { location { code } onHand reserved } } }
  ... on Problem { message } ... on InvalidInput { field } ... on NotPossible { state } } }`;

export async function move(service: TestService, staff: string, input: Record<string, unknown>) {
  const answer = await service.graph(
    moveStock,
    { input: { idempotencyKey: newId(), location: "main", reason: "RECEIPT", ...input } },
    { token: staff },
  );
  if (!answer.data?.moveStock) throw new Error(JSON.stringify(answer.errors));
  return answer.data.moveStock;
}

/** What there is of an article over all locations. */
export async function unitsOf(service: TestService, skuId: string) {
  const { rows } = await service.admin.query(
    `SELECT coalesce(sum(on_hand), 0)::int AS "onHand", coalesce(sum(reserved), 0)::int AS reserved,
       (SELECT coalesce(sum(quantity), 0)::int FROM movements WHERE sku_id = $1) AS moved,
       (SELECT coalesce(sum(quantity - consumed - released), 0)::int FROM reservations WHERE sku_id = $1) AS held
     FROM stock WHERE sku_id = $1`,
    [skuId],
  );
  return rows[0] as { onHand: number; reserved: number; moved: number; held: number };
}

export interface Wanted extends Article {
  quantity: number;
  digital?: boolean;
}

/** An order and what `orders` says about it, in its versions. */
export function order(lines: Wanted[]) {
  const orderId = newId();
  const customerId = newId();
  const placed = lines.map((line) => ({ lineId: newId(), ...line }));
  let version = 0;
  const onOrder = () => ({ orderId, customerId, version: (version += 1) });
  const units = (quantities: number[]) =>
    placed.map(({ lineId, skuId }, index) => ({ lineId, skuId, name: "Mug", quantity: quantities[index] ?? 0 }));
  const some = (quantities: number[]) => units(quantities).filter(({ quantity }) => quantity > 0);

  return {
    orderId,
    lines: placed,
    placed: (): EventToEmit =>
      orderPlaced.create(
        {
          ...onOrder(),
          number: "R2D2",
          kind: "SALE",
          currency: "GBP",
          totals: { itemsMinor: 0, taxMinor: 0, shippingMinor: 0, discountMinor: 0, totalMinor: 0 },
          lines: placed.map(({ digital = false, ...line }) => ({ ...line, digital, name: "Mug", unitMinor: 0 })),
        },
        { sequence: version },
      ),
    cancelled: (quantities: number[], cancellationId = newId()): EventToEmit =>
      orderCancelled.create(
        {
          ...onOrder(),
          number: "R2D2",
          cancellationId,
          lines: some(quantities),
          whole: false,
          beforeConfirmed: false,
          reason: "SHOPPER",
          capturableMinor: 0,
          currency: "GBP",
        },
        { sequence: version },
      ),
    shipped: (quantities: number[], shipmentId = newId()): EventToEmit =>
      orderShipped.create(
        {
          ...onOrder(),
          number: "R2D2",
          shipmentId,
          lines: some(quantities).map((line, index) => ({ ...line, digital: placed[index]?.digital ?? false })),
          captureMinor: 0,
          captureSequence: version,
          currency: "GBP",
          completesShipping: false,
        },
        { sequence: version },
      ),
    inspected: (
      lines: { line: number; quantity: number; disposition: "RESTOCK" | "WRITE_OFF" | "REFUSED" }[],
      returnId = newId(),
    ): EventToEmit =>
      returnInspected.create(
        {
          ...onOrder(),
          returnId,
          number: "RMA1",
          lines: lines.map(({ line, quantity, disposition }) => {
            const { lineId, skuId } = placed[line]!;
            return { lineId, skuId, quantity, disposition };
          }),
        },
        { sequence: 1 },
      ),
  };
}
