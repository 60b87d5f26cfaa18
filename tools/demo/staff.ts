/** What the demo's member of staff does. */
import { randomUUID } from "node:crypto";
import type { GraphClient } from "@crowdcrunch/shopper/client";
import { until } from "@crowdcrunch/shopper/patience";
import { act } from "@crowdcrunch/shopper/shopper";
import type { Timeline } from "@crowdcrunch/shopper/timeline";
import type { Money } from "@crowdcrunch/shopper/words";

const dispatchShipment = `mutation Dispatch($input: DispatchShipmentInput!) { dispatchShipment(input: $input) { __typename ... on Problem { message } } }`;
const recordDelivery = `mutation Deliver($input: ShipmentInput!) { recordDelivery(input: $input) { __typename ... on Problem { message } } }`;
const approveReturn = `mutation Approve($input: ApproveReturnInput!) { approveReturn(input: $input) { __typename ... on Problem { message } } }`;
const receiveReturn = `mutation Receive($input: ReceiveReturnInput!) { receiveReturn(input: $input) { __typename ... on Problem { message } } }`;
const inspectReturn = `mutation Inspect($input: InspectReturnInput!) { inspectReturn(input: $input) { __typename ... on Problem { message } } }`;
const look = `query Return($number: String!) { return(number: $number) { status refunded { amountMinor currency } } }`;

/** A parcel that no carrier has fetched by now waits for staff. */
const carrierPatienceMs = 6_000;

/** Waits until the parcel has arrived; where no simulated carrier runs in this shop, staff dispatch and deliver it. */
export async function seeParcelDelivered(graph: GraphClient, token: string, timeline: Timeline): Promise<void> {
  const noCarrierAfter = performance.now() + carrierPatienceMs;
  const waiting = await timeline.until("The dispatch of the parcel", ({ shipments }) =>
    shipments.some(({ status }) => status !== "TO_PACK" || performance.now() > noCarrierAfter),
  );
  const input = (shipmentId: string) => ({ idempotencyKey: randomUUID(), shipmentId });
  for (const { id, status } of waiting.shipments) {
    if (status !== "TO_PACK") continue;
    await act(graph, dispatchShipment, { input: input(id), token, expected: "ShipmentDispatched" });
    await act(graph, recordDelivery, { input: input(id), token, expected: "DeliveryRecorded" });
  }
  await timeline.until("The delivery of the parcel", ({ status }) => status === "COMPLETED");
}

/** Agrees to the return, receives the unit and finds it as good as new. Resolves to what was paid back. */
export async function takeBack(
  graph: GraphClient,
  token: string,
  { number, lineId }: { number: string; lineId: string },
): Promise<Money> {
  const step = () => ({ idempotencyKey: randomUUID(), number });
  await act(graph, approveReturn, { input: step(), token, expected: "ReturnApproved" });
  await act(graph, receiveReturn, { input: step(), token, expected: "ReturnReceived" });
  const lines = [{ lineId, quantity: 1, disposition: "RESTOCK" }];
  await act(graph, inspectReturn, { input: { ...step(), lines }, token, expected: "ReturnInspected" });
  return until("The refund", async () => {
    const { return: given } = await graph.ask(look, { number }, token);
    return given.status === "SETTLED" ? (given.refunded as Money) : undefined;
  });
}
