import Type from "typebox";
import { describe, expect, expectTypeOf, test } from "vitest";
import type { EventOf, ParsedEvent } from "./contract.ts";
import { event, LineQuantity, onOrder, Uuid } from "./contract.ts";

const parcelWeighed = event(
  { topic: "parcels", name: "parcel-weighed", version: 2, key: "orderId", subject: "parcelId" },
  Type.Object({
    ...onOrder,
    parcelId: Uuid,
    grams: Type.Integer({ minimum: 1 }),
    lines: Type.Array(LineQuantity),
    note: Type.Optional(Type.String()),
  }),
);

const id = (last: number) => `01890a5d-ac96-774b-bcce-${last.toString(16).padStart(12, "0")}`;
const weighed = {
  orderId: id(1),
  customerId: id(2),
  version: 3,
  parcelId: id(4),
  grams: 250,
  lines: [{ lineId: id(5), quantity: 2 }],
};

describe("create", () => {
  test("names the type, takes key and subject from the data and the sequence from the caller", () => {
    expect(parcelWeighed.create(weighed, { sequence: 3 })).toEqual({
      type: "parcels.parcel-weighed.v2",
      key: id(1),
      subject: id(4),
      sequence: 3,
      data: weighed,
    });
  });

  test("marks a republication and nothing else", () => {
    expect(parcelWeighed.create(weighed, { sequence: 3, republished: true }).republished).toBe(true);
    expect(parcelWeighed.create(weighed, { sequence: 3 })).not.toHaveProperty("republished");
  });

  test("takes undefined for an optional field, as a row without the value gives it", () => {
    expect(() => parcelWeighed.create({ ...weighed, note: undefined }, { sequence: 3 })).not.toThrow();
  });

  test("refuses bad data and names the event and the field", () => {
    const create = (change: object) => () => parcelWeighed.create({ ...weighed, ...change }, { sequence: 3 });
    expect(create({ grams: 0 })).toThrow(/^parcels\.parcel-weighed\.v2: \/grams /);
    expect(create({ grams: 0.5 })).toThrow(/\/grams /);
    expect(create({ orderId: id(1).toUpperCase() })).toThrow(/\/orderId /);
    expect(
      create({
        lines: [
          { lineId: id(5), quantity: 1 },
          { lineId: id(6), quantity: -1 },
        ],
      }),
    ).toThrow(/\/lines\/1\/quantity /);
    expect(create({ note: null })).toThrow(/\/note /);
  });
});

describe("parse", () => {
  test("returns what create published, after a way through JSON", () => {
    const { data } = parcelWeighed.create(weighed, { sequence: 3 });
    expect(parcelWeighed.parse(JSON.parse(JSON.stringify(data)))).toEqual(weighed);
  });

  test("lets a field pass that a later publisher added", () => {
    expect(parcelWeighed.parse({ ...weighed, carrier: "post" })).toEqual({ ...weighed, carrier: "post" });
  });

  test("refuses bad data and names the field", () => {
    const { grams: _, ...withoutGrams } = weighed;
    expect(() => parcelWeighed.parse(withoutGrams)).toThrow(/^parcels\.parcel-weighed\.v2: .*grams/);
    expect(() => parcelWeighed.parse({ ...weighed, lines: "none" })).toThrow(/\/lines /);
    expect(() => parcelWeighed.parse(null)).toThrow(TypeError);
  });
});

test("an event of a mixed batch narrows to its contract by type", () => {
  const received = { id: id(9), key: id(1), subject: id(4), sequence: 3, time: "2024-05-01T10:00:00.000Z" };
  const mixed: ParsedEvent[] = [
    { ...received, type: "parcels.parcel-lost.v1", data: {} },
    { ...received, type: parcelWeighed.type, data: weighed },
  ];
  const narrowed = mixed.filter((candidate) => parcelWeighed.is(candidate));
  expect(narrowed.map(({ data }) => data.grams)).toEqual([250]);
  expectTypeOf<EventOf<typeof parcelWeighed>["type"]>().toEqualTypeOf<"parcels.parcel-weighed.v2">();
});
