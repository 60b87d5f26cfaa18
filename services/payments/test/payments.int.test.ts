import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "@crowdcrunch/kit/testing/service";
import { createWorld } from "./world.ts";
import type { OrderStory, World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world?.stop());

async function names(order: OrderStory): Promise<string[]> {
  return (await order.answers()).map(({ name }) => name);
}

/** What the provider's own book says about an order. */
async function book(order: OrderStory) {
  const { rows } = await world.provider.book.query(
    `SELECT held, captured_minor AS captured, voided_minor AS voided, refunded_minor AS refunded FROM authorizations WHERE reference = $1 ORDER BY created_at`,
    [order.orderId],
  );
  return rows as { held: boolean; captured: number; voided: number; refunded: number }[];
}

async function payment(order: OrderStory): Promise<Record<string, unknown>> {
  const { rows } = await world.payments.admin.query(`SELECT * FROM payments WHERE id = $1`, [order.paymentId]);
  return rows[0] as Record<string, unknown>;
}

async function authorized(token = "tok_ok", amountMinor = 2_500): Promise<OrderStory> {
  const order = world.order();
  await order.tell(order.events.requested(token, amountMinor));
  await order.answered("payment-authorized");
  return order;
}

/** The operation of an order's first authorization, as the provider would tell it. */
async function reported(order: OrderStory, changes: object = {}) {
  const { body } = await world.provider.call("GET", `/v1/operations/${order.paymentId}:AUTHORIZE:1:1`);
  return { ...body, ...changes };
}

describe("authorization", () => {
  test("a good card is authorized, once", async () => {
    const order = world.order();
    const requested = order.events.requested("tok_ok");
    await order.tell(requested);
    const answer = await order.answered("payment-authorized");
    expect(answer).toMatchObject({
      paymentId: order.paymentId,
      amountMinor: 2_500,
      attempt: 1,
      currency: "GBP",
      version: 1,
    });
    await order.tell(requested);
    expect(await names(order)).toEqual(["payment-authorized"]);
    expect(await book(order)).toEqual([{ held: true, captured: 0, voided: 0, refunded: 0 }]);
  });

  test("a hundred at once are each authorized once", async () => {
    const orders = Array.from({ length: 100 }, () => world.order());
    await world.payments.deliver(...orders.map((order) => order.events.requested("tok_ok")));
    await until(
      async () => (await world.payments.admin.query("SELECT FROM operations WHERE settled_at IS NULL")).rowCount === 0,
      "100 outcomes",
    );
    for (const order of orders)
      expect(await payment(order)).toMatchObject({ status: "AUTHORIZED", authorized_minor: 2_500, version: 1 });
  });

  test.each([
    ["tok_declined", "CARD_DECLINED", false],
    ["tok_insufficient_funds", "INSUFFICIENT_FUNDS", true],
    ["tok_lost", "LOST_CARD", false],
    ["tok_that_nobody_gave", "UNKNOWN_TOKEN", false],
  ])("%s is declined with %s, and another card may follow", async (token, code, retryable) => {
    const order = world.order();
    await order.tell(order.events.requested(token));
    expect(await order.answered("payment-declined")).toMatchObject({ code, retryable, attempt: 1 });
    await order.tell(order.events.requested("tok_ok", 2_500, 2));
    expect(await order.answered("payment-authorized")).toMatchObject({ attempt: 2, version: 2 });
  });

  test("a card number becomes a token, and only a test number does", async () => {
    const { status, body } = await world.provider.call("POST", "/v1/tokens", { cardNumber: "4000 0000 0000 9987" });
    expect([status, body["last4"]]).toEqual([201, "9987"]);
    const order = world.order();
    await order.tell(order.events.requested(String(body["token"])));
    expect(await order.answered("payment-declined")).toMatchObject({ code: "LOST_CARD" });
    expect((await world.provider.call("POST", "/v1/tokens", { cardNumber: "4929000000006" })).status).toBe(422);
  });

  test.each(["tok_timeout", "tok_error"])("%s is looked up and charged once", async (token) => {
    const order = await authorized(token);
    expect(await book(order)).toEqual([{ held: true, captured: 0, voided: 0, refunded: 0 }]);
    expect(await names(order)).toEqual(["payment-authorized"]);
    // The provider's own callback, late, changes nothing.
    expect(await world.callBack(await reported(order))).toBe(204);
    expect(await names(order)).toEqual(["payment-authorized"]);
  });

  test.each([
    ["authorise", "payment-authorized"],
    ["refuse", "payment-declined"],
  ])("a card that needs the shopper: %s", async (decision, outcome) => {
    const order = world.order();
    await order.tell(order.events.requested("tok_action_required"));
    const { url } = (await order.answered("payment-action-required")) as { url: string };
    expect(await (await fetch(url)).text()).toContain("£25.00");
    const decided = await fetch(url, { method: "POST", body: new URLSearchParams({ decision }), redirect: "manual" });
    expect(decided.headers.get("location")).toMatch(/^http:\/\/127\.0\.0\.1:4000\/orders\/T/);
    await order.answered(outcome);
    expect(await names(order)).toEqual(["payment-action-required", outcome]);
    expect((await payment(order))["action_url"]).toBeNull();
  });
});

describe("callbacks", () => {
  test("ten at once make one transition", async () => {
    const order = world.order();
    await order.tell(order.events.requested("tok_action_required"));
    await order.answered("payment-action-required");
    const operation = await reported(order, { status: "SUCCEEDED" });
    const answers = await Promise.all(Array.from({ length: 10 }, () => world.callBack(operation)));
    expect(new Set(answers)).toEqual(new Set([204]));
    expect(await names(order)).toEqual(["payment-action-required", "payment-authorized"]);
  });

  test("one that comes while another outcome is being stored waits for it, and does not undo it", async () => {
    const order = world.order();
    await order.tell(order.events.requested("tok_action_required"));
    await order.answered("payment-action-required");
    const operation = await reported(order, { status: "SUCCEEDED" });
    const other = await world.payments.admin.connect();
    await other.query("BEGIN");
    await other.query("SELECT FROM payments WHERE id = $1 FOR UPDATE", [order.paymentId]);
    await other.query("UPDATE operations SET status = 'FAILED', code = 'EXPIRED' WHERE payment_id = $1", [
      order.paymentId,
    ]);
    const answer = world.callBack(operation);
    await until(
      async () =>
        (
          await world.payments.admin.query(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
          )
        ).rowCount! > 0,
      "a callback that waits",
    );
    await other.query("COMMIT");
    other.release();
    expect(await answer).toBe(422);
    expect(await names(order)).toEqual(["payment-action-required"]);
  });

  test("forged, old, or about another sum, currency, order or operation are refused and change nothing", async () => {
    const order = world.order();
    await order.tell(order.events.requested("tok_action_required"));
    await order.answered("payment-action-required");
    const operation = await reported(order, { status: "SUCCEEDED" });
    expect(await world.callBack(operation, { secret: "another secret" })).toBe(401);
    expect(await world.callBack(operation, { secondsAgo: 400 })).toBe(401);
    expect(await world.callBack({ ...operation, amountMinor: 1 })).toBe(422);
    expect(await world.callBack({ ...operation, currency: "USD" })).toBe(422);
    expect(await world.callBack({ ...operation, reference: world.order().orderId })).toBe(422);
    expect(await world.callBack({ ...operation, idempotencyKey: `${order.paymentId}:AUTHORIZE:9:1` })).toBe(422);
    expect(await world.callBack({ ...operation, idempotencyKey: "nonsense" })).toBe(422);
    const key = `${order.paymentId}:AUTHORIZE:1:1`;
    expect(
      (
        await world.payments.admin.query("SELECT FROM incidents WHERE kind = 'OUTCOME_REJECTED' AND subject = $1", [
          key,
        ])
      ).rowCount,
    ).toBe(1);
    expect(await names(order)).toEqual(["payment-action-required"]);
    expect((await fetch(`${world.payments.url}/hooks/payments`, { method: "POST", body: "{}" })).status).toBe(401);
  });
});

describe("what follows", () => {
  test("captures in parts, and completion gives up the remainder", async () => {
    const order = await authorized();
    await order.tell(order.events.shipped(1_000, 1));
    await order.tell(order.events.shipped(800, 2));
    await order.answered("payment-captured", 2);
    await order.tell(order.events.completed());
    expect(await order.answered("payment-voided")).toMatchObject({ amountMinor: 700, version: 4 });
    expect(await book(order)).toEqual([{ held: true, captured: 1_800, voided: 700, refunded: 0 }]);
  });

  test("completion after a full capture says nothing", async () => {
    const order = await authorized();
    await order.tell(order.events.shipped(2_500));
    await order.tell(order.events.completed());
    await order.answered("payment-captured");
    expect(await names(order)).toEqual(["payment-authorized", "payment-captured"]);
  });

  test("a capture beyond what was not cancelled fails without asking the provider", async () => {
    const order = await authorized();
    await order.tell(order.events.cancelled(1_000, false));
    await order.tell(order.events.shipped(1_500));
    expect(await order.answered("capture-failed")).toMatchObject({ code: "NOT_CAPTURABLE", captureSequence: 1 });
    expect(await book(order)).toEqual([{ held: true, captured: 0, voided: 0, refunded: 0 }]);
  });

  test("a cancelled order's hold is given up", async () => {
    const order = await authorized();
    await order.tell(order.events.cancelled());
    expect(await order.answered("payment-voided")).toMatchObject({ amountMinor: 2_500 });
    expect(await payment(order)).toMatchObject({ status: "VOIDED", voided_minor: 2_500 });
  });

  test.each([
    ["tok_declined", 0, ["payment-declined", "payment-voided"]],
    ["tok_action_required", 0, ["payment-action-required", "payment-voided"]],
    ["tok_timeout", 2_500, ["payment-authorized", "payment-voided"]],
    ["tok_error", 2_500, ["payment-authorized", "payment-voided"]],
  ])(
    "cancelled while %s is under way: the outcome is known before it is voided",
    async (token, amountMinor, answers) => {
      const order = world.order();
      await world.payments.deliver(order.events.requested(token), order.events.cancelled());
      expect(await order.answered("payment-voided")).toMatchObject({ amountMinor });
      expect(await names(order)).toEqual(answers);
      for (const { held, voided } of await book(order)) expect(voided).toBe(held ? 2_500 : 0);
    },
  );

  test("an action that is taken after the order was cancelled holds nothing", async () => {
    const order = world.order();
    await order.tell(order.events.requested("tok_action_required"));
    const { url } = (await order.answered("payment-action-required")) as { url: string };
    await order.tell(order.events.cancelled());
    await order.answered("payment-voided");
    await fetch(url, { method: "POST", body: new URLSearchParams({ decision: "authorise" }), redirect: "manual" });
    expect(await book(order)).toEqual([{ held: false, captured: 0, voided: 0, refunded: 0 }]);
  });

  test("a refund that is asked for at once waits for the capture", async () => {
    const order = await authorized();
    await world.payments.deliver(
      order.events.shipped(2_500),
      order.events.refundRequested(900),
      order.events.refundRequested(1_700),
    );
    expect(await order.answered("refund-settled")).toMatchObject({ amountMinor: 900, version: 1 });
    expect(await order.answered("refund-failed")).toMatchObject({
      amountMinor: 1_700,
      code: "EXCEEDS_CAPTURED",
      version: 1,
    });
    expect(await book(order)).toEqual([{ held: true, captured: 2_500, voided: 0, refunded: 900 }]);
  });

  test("a replacement is refunded to what paid for the order before it, also when that is not known yet", async () => {
    const original = world.order();
    const replacement = world.order();
    await replacement.tell(replacement.events.refundRequested(500, undefined, original.paymentId));
    await world.payments.deliver(original.events.requested("tok_ok"), original.events.shipped(2_500));
    const { orderId, customerId, paymentId } = await replacement.answered("refund-settled");
    expect({ orderId, customerId, paymentId }).toEqual({
      orderId: replacement.orderId,
      customerId: replacement.customerId,
      paymentId: original.paymentId,
    });
    expect(await names(original)).toEqual(["payment-authorized", "payment-captured"]);
  });

  test("a dispute is told once and becomes an incident", async () => {
    const order = await authorized("tok_disputed");
    await order.tell(order.events.shipped(2_500));
    expect(await order.answered("payment-disputed")).toMatchObject({ amountMinor: 2_500, version: 3 });
    const { body } = await world.provider.call("GET", `/v1/operations/${order.paymentId}:CAPTURE:1:1`);
    expect(await world.callBack(body, { type: "authorization.disputed" })).toBe(204);
    expect(await names(order)).toEqual(["payment-authorized", "payment-captured", "payment-disputed"]);
  });
});

describe("the graph", () => {
  const ofPayment = `query ($id: ID!) { payment(id: $id) { status amount { amountMinor currency } captured { amountMinor } card { last4 }
    refunds { amount { amountMinor } status } order { id amountPaid { amountMinor } amountRefunded { amountMinor } } } }`;
  const entities = `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Order { id amountPaid { amountMinor } payments { id } }
    ... on Payment { id } ... on Refund { id payment { id } } } }`;

  test("the owner sees his payment, nobody else does, by any way in", async () => {
    const order = await authorized();
    const refundId = crypto.randomUUID();
    await world.payments.deliver(order.events.shipped(2_500), order.events.refundRequested(900, refundId));
    await order.answered("refund-settled");
    const representations = [
      { __typename: "Order", id: order.orderId },
      { __typename: "Payment", id: order.paymentId },
      { __typename: "Refund", id: refundId },
    ];
    const owner = await world.payments.signToken({ sub: order.customerId });
    const staff = await world.payments.signToken({ roles: ["STAFF"] });
    for (const token of [owner, staff]) {
      const { data } = await world.payments.graph(ofPayment, { id: order.paymentId }, { token });
      expect(data.payment).toEqual({
        status: "AUTHORIZED",
        amount: { amountMinor: 2_500, currency: "GBP" },
        captured: { amountMinor: 2_500 },
        card: { last4: "4242" },
        refunds: [{ amount: { amountMinor: 900 }, status: "SETTLED" }],
        order: { id: order.orderId, amountPaid: { amountMinor: 2_500 }, amountRefunded: { amountMinor: 900 } },
      });
      const found = await world.payments.graph(entities, { of: representations }, { token });
      expect(found.data._entities).toEqual([
        { id: order.orderId, amountPaid: { amountMinor: 2_500 }, payments: [{ id: order.paymentId }] },
        { id: order.paymentId },
        { id: refundId, payment: { id: order.paymentId } },
      ]);
    }
    const linkToAnother = await world.payments.signToken({ sub: order.customerId, order: crypto.randomUUID() });
    for (const token of [await world.payments.signToken(), linkToAnother]) {
      expect((await world.payments.graph(ofPayment, { id: order.paymentId }, { token })).data.payment).toBeNull();
      expect((await world.payments.graph(entities, { of: representations }, { token })).data._entities).toEqual([
        null,
        null,
        null,
      ]);
    }
    const { errors } = await world.payments.graph(ofPayment, { id: order.paymentId });
    expect(errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });

  test("an order that was reassigned is its new owner's, and one who is erased leaves no card behind", async () => {
    const order = await authorized();
    const to = crypto.randomUUID();
    await order.tell(order.events.reassigned(to));
    const token = await world.payments.signToken({ sub: to });
    expect((await world.payments.graph(ofPayment, { id: order.paymentId }, { token })).data.payment.card).toEqual({
      last4: "4242",
    });
    await world.erase(to);
    expect((await world.payments.graph(ofPayment, { id: order.paymentId }, { token })).data.payment.card).toBeNull();
    const late = world.order();
    await world.erase(late.customerId);
    await late.tell(late.events.requested("tok_ok"));
    await late.answered("payment-authorized");
    expect((await payment(late))["card_last4"]).toBeNull();
  });

  test("staff read the ledger, which balances, page by page", async () => {
    const order = await authorized();
    await order.tell(order.events.shipped(2_500));
    await order.answered("payment-captured");
    const ledger = `query ($after: String, $account: LedgerAccount) { ledger(first: 100, after: $after, account: $account) { nodes { account payment { id } amount { amountMinor } } pageInfo { hasNextPage endCursor } } }`;
    const token = await world.payments.signToken({ roles: ["STAFF"] });
    let after: string | null = null;
    const entries: { account: string; payment: { id: string }; amount: { amountMinor: number } }[] = [];
    do {
      const { data } = await world.payments.graph(ledger, { after }, { token });
      entries.push(...data.ledger.nodes);
      after = data.ledger.pageInfo.hasNextPage ? data.ledger.pageInfo.endCursor : null;
    } while (after !== null);
    expect(entries.reduce((sum, entry) => sum + entry.amount.amountMinor, 0)).toBe(0);
    expect(
      entries
        .filter((entry) => entry.payment.id === order.paymentId)
        .map((entry) => [entry.account, entry.amount.amountMinor]),
    ).toEqual([
      ["CARD_HOLDS", 2_500],
      ["OPEN_COMMITMENTS", -2_500],
      ["PROVIDER_RECEIVABLE", 2_500],
      ["SALES", -2_500],
      ["OPEN_COMMITMENTS", 2_500],
      ["CARD_HOLDS", -2_500],
    ]);
    const sales = await world.payments.graph(ledger, { account: "SALES" }, { token });
    expect(new Set(sales.data.ledger.nodes.map((entry: { account: string }) => entry.account))).toEqual(
      new Set(["SALES"]),
    );
    const shopper = await world.payments.graph(ledger, {}, { token: await world.payments.signToken() });
    expect(shopper.errors?.[0]?.extensions.code).toBe("FORBIDDEN");
  });

  test.each([
    ["tok_capture_fails", "CAPTURE", "capture-failed", "payment-captured"],
    ["tok_refund_fails", "REFUND", "refund-failed", "refund-settled"],
  ])("%s: an incident, which staff resolve by trying again", async (card, operation, failure, success) => {
    const order = await authorized(card);
    await world.payments.deliver(
      order.events.shipped(2_500),
      ...(operation === "REFUND" ? [order.events.refundRequested(900)] : []),
    );
    await order.answered(failure);
    const incidents = () =>
      world.payments.admin.query("SELECT FROM incidents WHERE kind = $1 AND subject = $2 AND resolved_at IS NULL", [
        `${operation}_FAILED`,
        `${order.paymentId}/1`,
      ]);
    expect((await incidents()).rowCount).toBe(1);

    const retry = `mutation ($input: RetryPaymentOperationInput!) { retryPaymentOperation(input: $input) { __typename ... on NotPossible { state }
      ... on PaymentOperationRetried { payment { operations { kind attempt } } } } }`;
    const input = { idempotencyKey: crypto.randomUUID(), paymentId: order.paymentId, operation, sequence: 1 };
    const token = await world.payments.signToken({ roles: ["STAFF"] });
    const ask = async (more: object = {}) =>
      (await world.payments.graph(retry, { input: { ...input, ...more } }, { token })).data.retryPaymentOperation;
    expect(
      (
        await world.payments.graph(
          retry,
          { input },
          { token: await world.payments.signToken({ sub: order.customerId }) },
        )
      ).errors?.[0]?.extensions.code,
    ).toBe("FORBIDDEN");
    await world.provider.book.query("UPDATE authorizations SET behaviour = 'ok' WHERE reference = $1", [order.orderId]);
    const [first, second] = await Promise.all([ask(), ask()]);
    for (const answer of [first, second])
      expect(answer.payment.operations).toContainEqual({ kind: operation, attempt: 2 });
    await order.answered(success);
    expect((await incidents()).rowCount).toBe(0);
    expect((await ask()).__typename).toBe("PaymentOperationRetried");
    expect(await ask({ sequence: 2 })).toEqual({ __typename: "KeyReused" });
    expect(await ask({ idempotencyKey: crypto.randomUUID() })).toEqual({
      __typename: "NotPossible",
      state: "SUCCEEDED",
    });
    expect(await ask({ idempotencyKey: crypto.randomUUID(), operation: "VOID" })).toEqual({ __typename: "NotFound" });
    expect((await names(order)).filter((name) => name === success)).toHaveLength(1);
  });
});

describe("the database refuses", () => {
  const asService = (sql: string) => world.payments.db.query(sql);
  test.each([
    "UPDATE ledger_entries SET amount_minor = 1",
    "DELETE FROM ledger_entries",
    "UPDATE ledger_transactions SET sequence = 9",
    "DELETE FROM ledger_transactions",
    "TRUNCATE ledger_entries",
  ])("the service's role to: %s", (sql) => expect(asService(sql)).rejects.toMatchObject({ code: "42501" }));

  test("a transaction that does not balance, sums that cannot be, and a second success", async () => {
    const { paymentId } = await authorized();
    const violation = { code: "23514" };
    await expect(
      asService(`WITH t AS (INSERT INTO ledger_transactions (id, payment_id, kind, sequence) VALUES (gen_random_uuid(), '${paymentId}', 'REFUND', 77) RETURNING id)
        INSERT INTO ledger_entries SELECT id, 1, 'REFUNDS', 'GBP', 5 FROM t`),
    ).rejects.toMatchObject({ ...violation, constraint: "ledger_balances" });
    for (const change of ["captured_minor = 2501", "refunded_minor = 1", "authorized_minor = 1", "voided_minor = -1"]) {
      await expect(asService(`UPDATE payments SET ${change} WHERE id = '${paymentId}'`)).rejects.toMatchObject(
        violation,
      );
    }
    await expect(
      asService(
        `INSERT INTO operations (payment_id, kind, sequence, attempt, amount_minor, status) VALUES ('${paymentId}', 'AUTHORIZE', 1, 2, 2500, 'SUCCEEDED')`,
      ),
    ).rejects.toMatchObject({ code: "23505", constraint: "operations_one_success" });
  });
});
