import { shipmentDelivered, shipmentDispatched } from "@crowdcrunch/events/fulfillment";
import { until } from "@crowdcrunch/kit/testing/service";
import { expect, test } from "vitest";
import { confirmed, newOrder, openFulfillment } from "./world.ts";

test("the simulated carrier dispatches and delivers each parcel once, and names no actor", async () => {
  const { service } = await openFulfillment({ CARRIER_SIMULATOR: "true", CARRIER_DELAY_MS: "100" });
  try {
    const orders = Array.from({ length: 30 }, newOrder);
    await service.deliver(...orders.map((order) => confirmed(order)));
    const ended = async () => {
      const { rowCount } = await service.admin.query("SELECT FROM shipments WHERE status = 'DELIVERED'");
      return rowCount === orders.length;
    };
    await until(ended, "that all parcels have arrived");
    const events = [...(await service.emitted(shipmentDispatched)), ...(await service.emitted(shipmentDelivered))];
    const fates = events.map(({ key, sequence, data }) => `${key} ${sequence} ${data.actor?.id}`).sort();
    expect(fates).toEqual(orders.flatMap(({ orderId }) => [`${orderId} 2 undefined`, `${orderId} 3 undefined`]).sort());
  } finally {
    await service.stop();
  }
});
