import Type from "typebox";
import type { Static } from "typebox";
import { Quantity, Uuid } from "./contract.ts";
import { Amount, ItemName } from "./vocabulary.ts";

// An order's kind, sums and lines as events tell them. Each line type holds what its consumers need and no more.

export const OrderKind = Type.Enum(["SALE", "REPLACEMENT"]);
export type OrderKind = Static<typeof OrderKind>;

/** Units of an order's line, for who works with stock. */
export const SkuQuantity = Type.Object({ lineId: Uuid, skuId: Uuid, quantity: Quantity });

/** Units of an order's line, for who tells the shopper about them. */
export const NamedQuantity = Type.Object({ lineId: Uuid, skuId: Uuid, name: ItemName, quantity: Quantity });

/** An order's sums: total = items + tax + shipping − discount. */
export const OrderTotals = Type.Object({
  /** The lines before the discount, less the tax that their prices include. */
  itemsMinor: Amount,
  /** The tax that the prices include. */
  taxMinor: Amount,
  shippingMinor: Amount,
  discountMinor: Amount,
  totalMinor: Amount,
});
export type OrderTotals = Static<typeof OrderTotals>;

/** A line of order-placed. */
export const PlacedLine = Type.Object({
  lineId: Uuid,
  skuId: Uuid,
  productId: Uuid,
  name: ItemName,
  quantity: Quantity,
  unitMinor: Amount,
  digital: Type.Boolean(),
});
export type PlacedLine = Static<typeof PlacedLine>;

/** A line of order-confirmed. */
export const ConfirmedLine = Type.Object({
  lineId: Uuid,
  skuId: Uuid,
  name: ItemName,
  quantity: Quantity,
  digital: Type.Boolean(),
  unitMinor: Amount,
  /** Tax included: price times quantity less the line's share of the discount, by largest remainder. */
  paidMinor: Amount,
});
export type ConfirmedLine = Static<typeof ConfirmedLine>;

/** A line of order-rejected: what was wanted and what there is. */
export const RejectedLine = Type.Object({
  lineId: Uuid,
  skuId: Uuid,
  /** Absent if the SKU is unknown. */
  name: Type.Optional(ItemName),
  requested: Quantity,
  available: Type.Integer({ minimum: 0 }),
});
export type RejectedLine = Static<typeof RejectedLine>;

/** A line of order-shipped. */
export const ShippedLine = Type.Object({
  lineId: Uuid,
  skuId: Uuid,
  name: ItemName,
  quantity: Quantity,
  digital: Type.Boolean(),
});
export type ShippedLine = Static<typeof ShippedLine>;
