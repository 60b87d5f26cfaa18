import { randomUUID as newId } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cartAbandoned } from "@crowdcrunch/events/frontend";
import { orderRefunded, orderShipped } from "@crowdcrunch/events/orders";
import {
  emailVerificationRequested,
  guestClaimed,
  passwordResetRequested,
  userRegistered,
} from "@crowdcrunch/events/users";
import { verifyOrderLink } from "@crowdcrunch/kit/order-link";
import { testService, until } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { customers } from "../src/service.ts";

const secret = "a secret of the test";
let folder: string;
let spool: string;
let service: TestService;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "crowdcrunch-mail-"));
  spool = join(folder, "mail");
  service = await testService(customers, {
    env: { ORDER_LINK_SECRET: secret, MAIL_SPOOL: spool, PUBLIC_URL: "https://shop.example", MAIL_INTERVAL_MS: "100" },
  });
});
afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Sent {
  file: string;
  to: string;
  messageId: string;
  body: string;
}

/** The mails in the spool to this address. */
async function sentTo(email: string): Promise<Sent[]> {
  const files = (await readdir(spool).catch(() => [])).filter((file) => file.endsWith(".eml"));
  const mails = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(spool, file), "utf8");
      const header = (name: string) => new RegExp(`^${name}: (.*)$`, "im").exec(text)?.[1]?.trim() ?? "";
      const body = text
        .slice(text.indexOf("\r\n\r\n") + 4)
        .replaceAll("=\r\n", "")
        .replaceAll("=3D", "=");
      return { file, to: header("To"), messageId: header("Message-ID"), body };
    }),
  );
  return mails.filter((mail) => mail.to === email);
}

async function untilSent(email: string, count: number): Promise<Sent[]> {
  await until(async () => (await sentTo(email)).length >= count, `${count} mails to ${email}`);
  return sentTo(email);
}

const quiet = () => new Promise((resolve) => setTimeout(resolve, 300));
let people = 0;
const address = () => `person-${++people}@example.com`;

async function mailsOf(customerId: string, token: string) {
  const { data } = await service.graph(
    `query ($id: ID) { customer(id: $id) { correspondence(first: 10) { nodes { id kind to subject text state sentAt } pageInfo { hasNextPage } } } }`,
    { id: customerId },
    { token },
  );
  return data.customer?.correspondence.nodes;
}

function refunded(customerId: string, email: string | undefined) {
  const orderId = newId();
  return orderRefunded.create(
    {
      orderId,
      customerId,
      version: 9,
      number: "7KQM2X",
      ...(email === undefined ? {} : { email }),
      refundId: newId(),
      lines: [],
      amountMinor: 1_250,
      currency: "EUR",
      reason: "GOODWILL",
    },
    { sequence: 9 },
  );
}

function reset(userId: string, email: string, expiresAt: Date) {
  return passwordResetRequested.create(
    { userId, email, linkToken: "s3cret-token", expiresAt: expiresAt.toISOString() },
    { sequence: 2 },
  );
}

const soon = () => new Date(Date.now() + 3_600_000);

describe("a mail", () => {
  it("is sent once, however often the event comes", async () => {
    const [guest, email] = [newId(), address()];
    const event = refunded(guest, email);
    const [record] = await service.deliver(event);
    for (let time = 0; time < 10; time++) await service.deliver(record as never);
    const [mail] = await untilSent(email, 1);
    await quiet();
    expect(await sentTo(email)).toHaveLength(1);
    expect(mail).toMatchObject({ file: `${record!.id}.eml`, messageId: `<${record!.id}@crowdcrunch.example>` });
    expect(mail!.body).toContain("7KQM2X");
    expect((await service.admin.query("SELECT attempts FROM mails WHERE id = $1", [record!.id])).rows).toEqual([
      { attempts: 1 },
    ]);
  });

  it("about an order leads to it with a key that holds", async () => {
    const [guest, email] = [newId(), address()];
    const event = refunded(guest, email);
    const [record] = await service.deliver(event);
    const [mail] = await untilSent(email, 1);
    const key = /https:\/\/shop\.example\/orders\/7KQM2X\?key=(\S+)/.exec(mail!.body)?.[1] ?? "";
    const sentAt = new Date(record!.time);
    expect(verifyOrderLink(secret, key, sentAt)).toMatchObject({ orderId: event.subject, customerId: guest });
    expect(verifyOrderLink(secret, key, new Date(sentAt.getTime() + 91 * 86_400_000))).toBeUndefined();
  });

  it("shows the person and staff what it said, without the secrets in its links, and strangers nothing", async () => {
    const [ada, email] = [newId(), address()];
    await service.deliver(userRegistered.create({ userId: ada, email }, { sequence: 1 }), reset(ada, email, soon()));
    const [mail] = await untilSent(email, 1);
    expect(mail!.body).toContain("https://shop.example/account/reset?token=s3cret-token");
    await until(
      async () =>
        (await service.admin.query("SELECT FROM mails WHERE customer_id = $1 AND state = 'SENT'", [ada])).rowCount ===
        1,
      "the mail's end",
    );
    const shopper = await service.signToken({ sub: ada });
    const staff = await service.signToken({ roles: ["STAFF"] });
    for (const token of [shopper, staff]) {
      const [shown] = await mailsOf(ada, token);
      expect(shown).toMatchObject({ kind: "PASSWORD_RESET", to: email, state: "SENT", sentAt: expect.any(String) });
      expect(shown.text).toContain("/account/reset?token=…");
    }
    expect(await mailsOf(ada, await service.signToken())).toBeUndefined();
    const { rows } = await service.admin.query("SELECT text FROM mails WHERE customer_id = $1", [ada]);
    expect(rows[0].text).not.toContain("s3cret-token");
  });

  it("goes to the profile's address where the order has none, also to one that comes later", async () => {
    const [ada, email, late, lateEmail] = [newId(), address(), newId(), address()];
    await service.deliver(userRegistered.create({ userId: ada, email }, { sequence: 1 }), refunded(late, undefined));
    await service.deliver(refunded(ada, undefined));
    await untilSent(email, 1);
    expect(await mailsOf(late, await service.signToken({ sub: late }))).toMatchObject([{ to: null, state: "QUEUED" }]);
    await service.deliver(userRegistered.create({ userId: late, email: lateEmail }, { sequence: 1 }));
    await untilSent(lateEmail, 1);
  });

  it("is not written to customers without any address", async () => {
    const staff = await service.signToken({ roles: ["STAFF"] });
    const { data } = await service.graph(
      `mutation { importCustomers(input: { customers: [{ externalReference: "17850" }] }) { ... on CustomersImported { customers { id } } } }`,
      {},
      { token: staff },
    );
    const { id } = data.importCustomers.customers[0];
    await service.deliver(refunded(id, undefined));
    expect(await mailsOf(id, staff)).toEqual([]);
  });

  it("is tried again while the spool cannot take it, and says so", async () => {
    const [guest, email] = [newId(), address()];
    await rm(spool, { recursive: true, force: true });
    await writeFile(spool, "in the way");
    const [record] = await service.deliver(refunded(guest, email));
    const state = async () =>
      (
        await service.admin.query(
          "SELECT state, attempts, last_error, next_attempt_at - now() BETWEEN '1 second' AND '11 seconds' AS later FROM mails WHERE id = $1",
          [record!.id],
        )
      ).rows[0];
    await until(async () => (await state()).last_error !== null, "a failed attempt");
    expect(await state()).toMatchObject({ state: "QUEUED", attempts: 1, later: true });
    await rm(spool);
    await service.admin.query("UPDATE mails SET next_attempt_at = now() WHERE id = $1", [record!.id]);
    await untilSent(email, 1);
  });

  it("is given up after two days, with an incident for staff", async () => {
    const [guest, email] = [newId(), address()];
    await rm(spool, { recursive: true, force: true });
    await writeFile(spool, "in the way");
    try {
      const [record] = await service.deliver(refunded(guest, email));
      await until(
        async () =>
          (await service.admin.query("SELECT FROM mails WHERE id = $1 AND last_error IS NOT NULL", [record!.id]))
            .rowCount === 1,
        "a failed attempt",
      );
      await service.admin.query("UPDATE mails SET attempts = 54, next_attempt_at = now() WHERE id = $1", [record!.id]);
      await until(
        async () =>
          (await service.admin.query("SELECT FROM mails WHERE id = $1 AND state = 'FAILED'", [record!.id])).rowCount ===
          1,
        "the last attempt",
      );
      const { data } = await service.graph(
        `{ customersIncidents { nodes { kind subject } } }`,
        {},
        { token: await service.signToken({ roles: ["STAFF"] }) },
      );
      expect(data.customersIncidents.nodes).toContainEqual({ kind: "MAIL_UNDELIVERABLE", subject: record!.id });
    } finally {
      await rm(spool);
    }
  });

  it("with a link is not sent once the link is of no use", async () => {
    const [ada, email] = [newId(), address()];
    await service.deliver(reset(ada, email, new Date(Date.now() - 1_000)));
    const verification = { userId: ada, email, linkToken: "v", expiresAt: soon().toISOString() };
    await service.deliver(emailVerificationRequested.create(verification, { sequence: 3 }));
    const [mail] = await untilSent(email, 1);
    expect(mail!.body).toContain("/account/verify?token=v");
    await quiet();
    expect(await sentTo(email)).toHaveLength(1);
    const shown = await mailsOf(ada, await service.signToken({ sub: ada }));
    expect(shown.map(({ state }: { state: string }) => state)).toEqual(["SENT", "EXPIRED"]);
  });

  it("tells of parcels and not of downloads", async () => {
    const [guest, email] = [newId(), address()];
    const shipped = (digital: boolean, name: string) =>
      orderShipped.create(
        {
          orderId: newId(),
          customerId: guest,
          version: 5,
          number: "7KQM2X",
          email,
          lines: [{ lineId: newId(), skuId: newId(), name, quantity: 1, digital }],
          captureMinor: 0,
          captureSequence: 1,
          currency: "GBP",
          completesShipping: true,
        },
        { sequence: 5 },
      );
    await service.deliver(shipped(true, "Song"), shipped(false, "Mug"));
    const [mail] = await untilSent(email, 1);
    await quiet();
    expect(await sentTo(email)).toHaveLength(1);
    expect(mail!.body).toContain("Mug");
  });

  it("reminds of a cart once, and only who agreed", async () => {
    const [ada, bob] = [newId(), newId()];
    const [toAda, toBob] = [address(), address()];
    await service.deliver(
      userRegistered.create({ userId: ada, email: toAda }, { sequence: 1 }),
      userRegistered.create({ userId: bob, email: toBob }, { sequence: 1 }),
    );
    const { errors } = await service.graph(
      `mutation { setConsent(input: { purpose: CART_REMINDERS, granted: true }) { __typename } }`,
      {},
      { token: await service.signToken({ sub: ada }) },
    );
    expect(errors).toBeUndefined();
    const abandoned = (customerId: string, cartId = newId()) =>
      cartAbandoned.create(
        { cartId, customerId, lines: [{ skuId: newId(), name: "Lamp", quantity: 2 }] },
        { sequence: 1 },
      );
    const cart = newId();
    await service.deliver(abandoned(ada, cart), abandoned(bob), abandoned(ada, cart));
    const [mail] = await untilSent(toAda, 1);
    expect(mail!.body).toContain("Lamp");
    expect(mail!.body).toContain("https://shop.example/cart");
    await quiet();
    expect([await sentTo(toAda), await sentTo(toBob)].map((mails) => mails.length)).toEqual([1, 0]);
  });

  it("follows the guest to the account, also when it comes after the sign-up", async () => {
    const [guest, ada, email] = [newId(), newId(), address()];
    await service.deliver(refunded(guest, email));
    await service.deliver(guestClaimed.create({ guestId: guest, userId: ada }, { sequence: 2 }));
    await service.deliver(refunded(guest, email));
    await untilSent(email, 2);
    expect(await mailsOf(ada, await service.signToken({ sub: ada }))).toHaveLength(2);
    expect(await mailsOf(guest, await service.signToken({ sub: guest, roles: ["GUEST"] }))).toEqual([]);
  });

  it("is not written to a person who was forgotten, and those that were are gone", async () => {
    const [guest, ada, email] = [newId(), newId(), address()];
    const token = await service.signToken({ sub: ada });
    await service.deliver(refunded(ada, email), guestClaimed.create({ guestId: guest, userId: ada }, { sequence: 2 }));
    await untilSent(email, 1);
    await service.graph(`mutation { eraseMe { __typename } }`, {}, { token });
    await service.deliver(refunded(ada, email), refunded(guest, email), reset(ada, email, soon()));
    await quiet();
    expect(await sentTo(email)).toHaveLength(1);
    expect((await service.admin.query("SELECT FROM mails WHERE customer_id = ANY($1)", [[ada, guest]])).rowCount).toBe(
      0,
    );
  });
});
