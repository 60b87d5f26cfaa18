import Type from "typebox";
import type { Static } from "typebox";
import { Currency, event, onOrder, Quantity, Uuid } from "./contract.ts";
import { SkuQuantity } from "./order-lines.ts";
import { Amount, ItemName } from "./vocabulary.ts";

// Key: the product's id in the catalogue, the order's id for reservations.

export const Availability = Type.Enum(["IN_STOCK", "LOW_STOCK", "OUT_OF_STOCK"]);
export type Availability = Static<typeof Availability>;

const CatalogueSku = Type.Object({
  skuId: Uuid,
  code: Type.String({ minLength: 1, maxLength: 64 }),
  /** As an order's line shows it: the product's name with the options. */
  name: ItemName,
  options: Type.Array(Type.Object({ name: Type.String(), value: Type.String() })),
  digital: Type.Boolean(),
  /** A class of the tax table in orders. */
  taxClass: Type.String({ minLength: 1, maxLength: 32 }),
  priceVersion: Type.Integer({ minimum: 1 }),
  prices: Type.Array(Type.Object({ currency: Currency, amountMinor: Amount })),
});

/**
 * A product's full state. A product or SKU that can no longer be bought is unpublished or absent here, never forgotten.
 *
 * - orders: upserts names, prices, tax classes and kinds where the version is newer
 * - frontend: upserts the pages where the version is newer
 * - gateway: invalidates what it has cached of the product
 */
export const productChanged = event(
  { topic: "inventory", name: "product-changed", version: 1, key: "productId", subject: "productId" },
  Type.Object({
    productId: Uuid,
    /** Equal to the event's sequence. */
    version: Type.Integer({ minimum: 1 }),
    published: Type.Boolean(),
    slug: Type.String({ minLength: 1, maxLength: 200 }),
    name: ItemName,
    description: Type.String(),
    /** A path below /media/. */
    image: Type.Optional(Type.String()),
    categories: Type.Array(Type.Object({ slug: Type.String({ minLength: 1 }), name: Type.String({ minLength: 1 }) })),
    skus: Type.Array(CatalogueSku),
  }),
);

/**
 * A SKU went over a threshold; movements between thresholds are not told. The version is the SKU's own.
 *
 * - frontend: shows it on the pages where the version is newer
 * - gateway: availabilityChanged, and invalidates what it has cached of the product
 */
export const availabilityChanged = event(
  { topic: "inventory", name: "availability-changed", version: 1, key: "productId", subject: "skuId" },
  Type.Object({ productId: Uuid, skuId: Uuid, availability: Availability, version: Type.Integer({ minimum: 1 }) }),
);

/** orders: asks for the payment (payment-requested), or a replacement waits for its return's inspection. */
export const stockReserved = event(
  { topic: "inventory", name: "stock-reserved", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    /** Empty if every line is digital; a line may be spread over locations. */
    reservations: Type.Array(Type.Object({ lineId: Uuid, skuId: Uuid, locationId: Uuid, quantity: Quantity })),
  }),
);

/** Nothing was reserved. orders: rejects the order (order-rejected). */
export const stockRejected = event(
  { topic: "inventory", name: "stock-rejected", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    /** The lines that fall short, and only those. */
    lines: Type.Array(Type.Object({ lineId: Uuid, requested: Quantity, available: Type.Integer({ minimum: 0 }) }), {
      minItems: 1,
    }),
  }),
);

/** The answer to each order-cancelled. orders: closes the compensation. */
export const stockReleased = event(
  { topic: "inventory", name: "stock-released", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    cancellationId: Uuid,
    /** Empty if nothing was held for the cancelled lines. */
    lines: Type.Array(SkuQuantity),
  }),
);

export const inventoryEvents = [productChanged, availabilityChanged, stockReserved, stockRejected, stockReleased];
