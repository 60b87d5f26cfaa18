import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A change of one file; without `find` the file is a new one. */
export interface Change {
  file: string;
  find?: string;
  text: string;
}

/** What the release after this one tells of a parcel, and where it is seen: in an order's timeline. */
export const newEvent = "fulfillment.shipment-created.v2";
export const newColumn = { table: "fulfillment.shipments", column: "pack_by" };
export const newTimelineEntry = "PACK_BY";

/**
 * A release as it could come after this one: parcels get a date by which they are to be packed, a column of its own with
 * a migration, and the event that tells of a parcel carries it, in a version that older consumers cannot read.
 */
export const nextRelease: readonly Change[] = [
  {
    file: "services/fulfillment/migrations/900_pack_by.sql",
    text: `-- Until when a parcel should be packed. Those who do not know the column yet leave it to its default.
ALTER TABLE shipments ADD COLUMN pack_by timestamptz NOT NULL DEFAULT now() + interval '2 days';
`,
  },
  {
    file: "packages/events/src/fulfillment.ts",
    find: "/** orders: passes it on (order-shipped). */\nexport const shipmentDispatched",
    text: `export const shipmentToPack = event(
  { topic: "fulfillment", name: "shipment-created", version: 2, key: "orderId", subject: "orderId" },
  Type.Object({ ...onShipment, trackingCode: Type.String({ minLength: 1 }), packBy: Timestamp }),
);

/** orders: passes it on (order-shipped). */
export const shipmentDispatched`,
  },
  {
    file: "packages/events/src/fulfillment.ts",
    find: "export const fulfillmentEvents = [\n  shipmentCreated,",
    text: "export const fulfillmentEvents = [\n  shipmentCreated,\n  shipmentToPack,",
  },
  // The consumer knows both versions.
  {
    file: "services/orders/src/saga.ts",
    find: "  shipmentCreated,\n} from",
    text: "  shipmentCreated,\n  shipmentToPack,\n} from",
  },
  {
    file: "services/orders/src/saga.ts",
    find: "  shipmentCreated,\n  shipmentDispatched,",
    text: "  shipmentCreated,\n  shipmentToPack,\n  shipmentDispatched,",
  },
  {
    file: "services/orders/src/saga.ts",
    find: '    case "fulfillment.shipment-dispatched.v1":',
    text: `    case "${newEvent}":
      note(effects, order, "SHIPMENT_CREATED", event.data.trackingCode);
      note(effects, order, "${newTimelineEntry}", event.data.packBy);
      return "apply";
    case "fulfillment.shipment-dispatched.v1":`,
  },
  {
    file: "auditor/src/handled.ts",
    find: '    "fulfillment.shipment-created.v1",',
    text: `    "fulfillment.shipment-created.v1",\n    "${newEvent}",`,
  },
  // The publisher writes the column and tells of it.
  {
    file: "services/fulfillment/src/commands-events.ts",
    find: 'import { shipmentCreated } from "@crowdcrunch/events/fulfillment";',
    text: 'import { shipmentToPack } from "@crowdcrunch/events/fulfillment";',
  },
  {
    file: "services/fulfillment/src/commands-events.ts",
    find: `    await createShipments(tx, shipments);`,
    text: `    const packBy = new Map(
      (await createShipments(tx, shipments)).map((row) => [row.id, new Date(row.packBy).toISOString()]),
    );`,
  },
  {
    file: "services/fulfillment/src/commands-events.ts",
    find: `      const told = { orderId, customerId, version: 1, shipmentId: id, trackingCode, lines: unitsOf(lines) };
      tx.emit(shipmentCreated.create(told, { sequence: 1 }));`,
    text: `      const told = { orderId, customerId, version: 1, shipmentId: id, trackingCode, lines: unitsOf(lines) };
      tx.emit(shipmentToPack.create({ ...told, packBy: packBy.get(id)! }, { sequence: 1 }));`,
  },
  {
    file: "services/fulfillment/src/store-confirmed.ts",
    find: "export async function createShipments(tx: Transaction, shipments: NewShipment[]): Promise<void> {\n  if (shipments.length === 0) return;",
    text: `const packBys = statement<{ id: string; packBy: string }>(
  "shipmentPackBy",
  \`SELECT id, pack_by AS "packBy" FROM shipments WHERE id = ANY($1::uuid[])\`,
);

export async function createShipments(
  tx: Transaction,
  shipments: NewShipment[],
): Promise<{ id: string; packBy: string }[]> {
  if (shipments.length === 0) return [];`,
  },
  {
    file: "services/fulfillment/src/store-confirmed.ts",
    find: "  await tx.run(insertShipments, [JSON.stringify(shipments.map(({ lines: _, ...row }) => row)), JSON.stringify(lines)]);",
    text: `  await tx.run(insertShipments, [JSON.stringify(shipments.map(({ lines: _, ...row }) => row)), JSON.stringify(lines)]);
  return tx.many(packBys, [shipments.map(({ id }) => id)]);`,
  },
];

/** The next version of this one: 0.2.0 after 0.1.7. */
export function nextVersion(version: string): string {
  const [major, minor] = version.split(".");
  return `${major}.${Number(minor) + 1}.0`;
}

/** Makes the changes in a copy of the project, its version included. Throws where the code is not as they expect it. */
export function applyNextRelease(root: string): void {
  for (const { file, find, text } of nextRelease) {
    const path = join(root, file);
    if (find === undefined) {
      writeFileSync(path, text, { flag: "wx" });
      continue;
    }
    const former = readFileSync(path, "utf8");
    const places = former.split(find).length - 1;
    if (places !== 1)
      throw new Error(
        `test/cluster/next-release.ts changes ${file} where it finds these lines, ${places} times:\n${find}`,
      );
    writeFileSync(
      path,
      former.replace(find, () => text),
    );
  }
  const chart = join(root, "Chart.yaml");
  const former = readFileSync(chart, "utf8");
  writeFileSync(
    chart,
    former.replaceAll(
      /^(version|appVersion): "?([\d.]+)"?$/gm,
      (_, name: string, version: string) => `${name}: "${nextVersion(version)}"`,
    ),
  );
}
