/** Makes what a cancellation line takes back of an order a return, and brings it to its refund. */
import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "./failure.ts";
import { derivedUuid } from "./identifiers.ts";
import type { OrderState, ReturnState } from "./ledgers.ts";
import type { ReturnPlan } from "./plan.ts";
import type { Answer, Staff } from "./staff.ts";
import type { Watch } from "./watch.ts";

const fields = `{ __typename ... on Problem { message } }`;
const requestReturn = `mutation RequestReturn($input: RequestReturnInput!) { requestReturn(input: $input) { __typename ... on ReturnRequested { return { id number } } ... on Problem { message } } }`;
const approveReturn = `mutation ApproveReturn($input: ApproveReturnInput!) { approveReturn(input: $input) ${fields} }`;
const receiveReturn = `mutation ReceiveReturn($input: ReceiveReturnInput!) { receiveReturn(input: $input) ${fields} }`;
const inspectReturn = `mutation InspectReturn($input: InspectReturnInput!) { inspectReturn(input: $input) ${fields} }`;

export interface Returning {
  staff: Staff;
  watch: Watch<ReturnState>;
}

/** Exchanges hears of a delivery a moment after orders does. */
const deliveryWaitMs = 60_000;

/** True where there is nothing left to do for the return. */
export function isSettled(given: ReturnState | undefined): boolean {
  return given?.status === "SETTLED";
}

/** `lineIds` are the order's, by position. Resolves once the refund is made. */
export async function takeBack(
  { staff, watch }: Returning,
  {
    plan,
    order,
    lineIds,
    known,
  }: { plan: ReturnPlan; order: OrderState; lineIds: string[]; known: ReturnState | undefined },
): Promise<void> {
  const lines = plan.lines.map(({ position, quantity }) => ({ lineId: lineIds[position]!, quantity }));
  const { id, number, status } = known ?? (await request(staff, plan, order, lines));
  const step = (act: string) => ({ idempotencyKey: derivedUuid(act, id), number });
  if (status === "REQUESTED") await must(staff.mutate(approveReturn, step("approve")));
  if (["REQUESTED", "APPROVED"].includes(status)) await must(staff.mutate(receiveReturn, step("receive")));
  if (["REQUESTED", "APPROVED", "RECEIVED"].includes(status)) {
    const found = lines.map((line) => ({ ...line, disposition: "RESTOCK" }));
    await must(staff.mutate(inspectReturn, { ...step("inspect"), lines: found }));
  }
  await watch.until(id, isSettled, "the refund");
}

async function request(
  staff: Staff,
  { reference }: ReturnPlan,
  order: OrderState,
  lines: { lineId: string; quantity: number }[],
): Promise<{ id: string; number: string; status: string }> {
  const input = {
    idempotencyKey: derivedUuid("return", `${reference}/${order.reference}`),
    orderNumber: order.number,
    externalReference: reference,
    reason: "OTHER",
    lines,
  };
  const giveUpAt = performance.now() + deliveryWaitMs;
  for (;;) {
    const answer = await staff.mutate(requestReturn, input);
    if (answer.__typename === "ReturnRequested") {
      const { id, number } = answer["return"] as { id: string; number: string };
      return { id, number, status: "REQUESTED" };
    }
    const isEarly = ["NotReturnable", "NotFound"].includes(answer.__typename);
    if (!isEarly || performance.now() > giveUpAt) throw refusal(answer);
    await sleep(500);
  }
}

/** A step that a repeat of the request has found done already is done. */
async function must(answering: Promise<Answer>): Promise<void> {
  const answer = await answering;
  if (["NotFound", "KeyReused", "InvalidInput", "NotPossible"].includes(answer.__typename)) throw refusal(answer);
}

function refusal(answer: Answer): Failure {
  return new Failure(`the shop refuses it (${answer.__typename}): ${answer.message}`);
}
