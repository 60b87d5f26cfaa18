import { randomUUID as newId } from "node:crypto";
import { consentChanged, customerErased } from "@crowdcrunch/events/customers";
import { guestClaimed, userRegistered } from "@crowdcrunch/events/users";
import { testService } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { customers } from "../src/service.ts";

let service: TestService;
beforeAll(async () => {
  service = await testService(customers, {
    env: { ORDER_LINK_SECRET: "a secret of the test", SMTP_URL: "smtp://127.0.0.1:1" },
  });
});
afterAll(() => service.stop());

interface Person {
  sub: string;
  token: string;
}

async function person(roles: ("GUEST" | "SHOPPER" | "STAFF")[] = ["SHOPPER"]): Promise<Person> {
  const sub = newId();
  return { sub, token: await service.signToken({ sub, roles }) };
}

async function registered(name = "Ada Lovelace"): Promise<Person & { email: string }> {
  const ada = await person();
  const email = `${ada.sub.slice(0, 8)}@example.com`;
  await service.deliver(userRegistered.create({ userId: ada.sub, email, name }, { sequence: 1 }));
  return { ...ada, email };
}

async function ask(who: { token?: string }, query: string, variables: object = {}) {
  const { data, errors } = await service.graph(query, { ...variables }, { token: who.token });
  return errors ? { code: errors[0]!.extensions.code } : data;
}

const profile = `id name email country addresses { id label address { name line1 line2 city postalCode countryCode } } consents { purpose granted }`;
const profileOf = async (who: { token?: string }, id?: string) =>
  ask(who, `query ($id: ID) { customer(id: $id) { ${profile} } }`, { id });

const problems = `... on InvalidInput { field } ... on NotFound { message } ... on NotPossible { state } ... on Forbidden { message }`;
const save = async (who: { token?: string }, input: object) => {
  const data = await ask(
    who,
    `mutation ($input: SaveAddressInput!) { saveAddress(input: $input) { __typename ... on AddressSaved { address { id label } } ${problems} } }`,
    { input },
  );
  return data.saveAddress ?? data;
};
const remove = async (who: { token?: string }, id: string) => {
  const data = await ask(
    who,
    `mutation ($input: RemoveAddressInput!) { removeAddress(input: $input) { __typename ... on InvalidInput { field } } }`,
    { input: { id } },
  );
  return data.removeAddress ?? data;
};
const consent = async (who: { token?: string }, purpose: string, granted: boolean) => {
  const data = await ask(
    who,
    `mutation ($input: SetConsentInput!) { setConsent(input: $input) { __typename ... on ConsentSet { consent { purpose granted changedAt } } ... on NotPossible { state } } }`,
    { input: { purpose, granted } },
  );
  return data.setConsent ?? data;
};
const erase = async (who: { token?: string }) => {
  const data = await ask(who, `mutation { eraseMe { __typename ... on MyDataErased { at } } }`);
  return data.eraseMe ?? data;
};

const home = { name: "Ada", line1: "12 St James's Square", city: "London", postalCode: "sw1y 4jh", countryCode: "gb" };

describe("a profile", () => {
  it("comes with the account, however often that is told", async () => {
    const ada = await registered();
    const again = userRegistered.create({ userId: ada.sub, email: "new@example.com" }, { sequence: 2 });
    const [record] = await service.deliver(again);
    for (let time = 0; time < 10; time++) await service.deliver(record as never);
    expect((await profileOf(ada)).customer).toMatchObject({
      id: ada.sub,
      name: "Ada Lovelace",
      email: "new@example.com",
    });
  });

  it("is its owner's and the staff's to see", async () => {
    const [ada, mallory, staff] = [await registered(), await person(), await person(["STAFF"])];
    expect((await profileOf(mallory, ada.sub)).customer).toBeNull();
    expect(await profileOf({}, ada.sub)).toEqual({ code: "UNAUTHENTICATED" });
    expect((await profileOf(staff, ada.sub)).customer.email).toBe(ada.email);
    expect(await profileOf(ada, "42")).toEqual({ code: "BAD_USER_INPUT" });
    const entities = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on Customer { email } ... on User { customer { email } } } }`;
    const r = ["Customer", "User"].map((__typename) => ({ __typename, id: ada.sub }));
    expect((await ask(mallory, entities, { r }))._entities).toEqual([null, null]);
    expect((await ask(ada, entities, { r }))._entities).toEqual([
      { email: ada.email },
      { customer: { email: ada.email } },
    ]);
    const link = { token: await service.signToken({ sub: ada.sub, roles: ["GUEST"], order: newId() }) };
    expect((await profileOf(link)).customer).toBeNull();
    expect((await save(link, { address: home })).__typename).toBe("Forbidden");
    expect((await erase(link)).__typename).toBe("Forbidden");
    expect(await ask(ada, `{ customer { externalReference } }`)).toEqual({ code: "FORBIDDEN" });
  });

  it("is found by staff by name and e-mail, page by page, taken literally", async () => {
    const staff = await person(["STAFF"]);
    const mark = newId().slice(0, 8);
    const people = [
      await registered(`Zoë ${mark} A`),
      await registered(`Zoë ${mark} B`),
      await registered(`100%_${mark}`),
    ];
    const search = `query ($search: String, $first: Int!, $after: String) { customers(search: $search, first: $first, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }`;
    const ids = async (text: string) =>
      (await ask(staff, search, { search: text, first: 50 })).customers.nodes
        .map(({ id }: { id: string }) => id)
        .sort();
    expect(await ids(`zoë ${mark}`)).toEqual([people[0]!.sub, people[1]!.sub].sort());
    expect(await ids(`100%_${mark}`)).toEqual([people[2]!.sub]);
    expect(await ids(`10_%_${mark}`)).toEqual([]);
    expect(await ids(people[1]!.email.toUpperCase())).toEqual([people[1]!.sub]);
    const first = (await ask(staff, search, { search: mark, first: 2 })).customers;
    expect(first.pageInfo.hasNextPage).toBe(true);
    const second = (await ask(staff, search, { search: mark, first: 2, after: first.pageInfo.endCursor })).customers;
    expect(second.nodes).toHaveLength(1);
    expect(await ask(staff, search, { search: mark, first: 101 })).toEqual({ code: "BAD_USER_INPUT" });
    expect(await ask(people[0]!, search, { search: mark, first: 2 })).toEqual({ code: "FORBIDDEN" });
  });
});

describe("an address book", () => {
  it("keeps, changes and drops addresses, a guest's too", async () => {
    const guest = await person(["GUEST"]);
    const { address } = await save(guest, { label: " Home ", address: { ...home, line2: "" } });
    expect(address.label).toBe("Home");
    expect((await profileOf(guest)).customer.addresses).toEqual([
      {
        id: address.id,
        label: "Home",
        address: {
          name: "Ada",
          line1: "12 St James's Square",
          line2: null,
          city: "London",
          postalCode: "SW1Y 4JH",
          countryCode: "GB",
        },
      },
    ]);
    await save(guest, { id: address.id.toUpperCase(), address: { ...home, city: "Leeds" } });
    expect((await profileOf(guest)).customer.addresses).toMatchObject([
      { id: address.id, label: null, address: { city: "Leeds" } },
    ]);
    expect((await remove(guest, address.id)).__typename).toBe("AddressRemoved");
    expect((await remove(guest, address.id)).__typename).toBe("NotFound");
    expect((await profileOf(guest)).customer.addresses).toEqual([]);
  });

  it("is nobody else's to change", async () => {
    const [ada, mallory, staff] = [await person(), await person(), await person(["STAFF"])];
    const { address } = await save(ada, { address: home });
    for (const stranger of [mallory, staff]) {
      expect((await save(stranger, { id: address.id, address: { ...home, city: "Nowhere" } })).__typename).toBe(
        "NotFound",
      );
      expect((await remove(stranger, address.id)).__typename).toBe("NotFound");
    }
    expect(await save({}, { address: home })).toEqual({ code: "UNAUTHENTICATED" });
    expect((await profileOf(ada)).customer.addresses).toMatchObject([{ id: address.id, address: { city: "London" } }]);
  });

  it.each([
    ["address.countryCode", { address: { ...home, countryCode: null } }],
    ["address.countryCode", { address: { ...home, countryCode: "Great Britain" } }],
    ["address.name", { address: { ...home, name: "" } }],
    ["label", { label: "x".repeat(61), address: home }],
    ["id", { id: "1", address: home }],
  ])("refuses a bad %s", async (field, input) => {
    const ada = await person();
    expect(await save(ada, input)).toEqual({ __typename: "InvalidInput", field });
    expect((await profileOf(ada)).customer.addresses).toEqual([]);
  });

  it("has fifty addresses at most, also when they come at once", async () => {
    const ada = await person();
    const answers = await Promise.all(Array.from({ length: 55 }, () => save(ada, { address: home })));
    expect(answers.filter((answer) => answer.__typename === "InvalidInput")).toHaveLength(5);
    expect((await profileOf(ada)).customer.addresses).toHaveLength(50);
  });

  it("follows the guest to the account", async () => {
    const [guest, ada] = [await person(["GUEST"]), await registered()];
    await save(guest, { label: "Home", address: home });
    const [record] = await service.deliver(
      guestClaimed.create({ guestId: guest.sub, userId: ada.sub }, { sequence: 2 }),
    );
    for (let time = 0; time < 10; time++) await service.deliver(record as never);
    expect((await profileOf(ada)).customer.addresses).toMatchObject([{ label: "Home" }]);
    expect((await profileOf(guest)).customer.addresses).toEqual([]);
  });
});

describe("a consent", () => {
  it("is told of when it changes", async () => {
    const ada = await registered();
    expect((await profileOf(ada)).customer.consents).toEqual([
      { purpose: "RECOMMENDATIONS", granted: false },
      { purpose: "CART_REMINDERS", granted: false },
    ]);
    expect(await consent(ada, "CART_REMINDERS", true)).toMatchObject({
      consent: { purpose: "CART_REMINDERS", granted: true, changedAt: expect.any(String) },
    });
    await consent(ada, "CART_REMINDERS", true);
    await consent(ada, "RECOMMENDATIONS", false);
    await consent(ada, "CART_REMINDERS", false);
    const told = (await service.emitted(consentChanged)).filter(({ data }) => data.customerId === ada.sub);
    expect(told.map(({ sequence, data: { purpose, granted } }) => [sequence, purpose, granted])).toEqual([
      [1, "CART_REMINDERS", true],
      [2, "RECOMMENDATIONS", false],
      [3, "CART_REMINDERS", false],
    ]);
    expect(await consent(ada, "EVERYTHING", true)).toEqual({ code: expect.stringMatching(/GRAPHQL|BAD_USER_INPUT/) });
    expect(await consent(await person(["GUEST"]), "RECOMMENDATIONS", true)).toEqual({ __typename: "Forbidden" });
  });
});

describe("a person's own data", () => {
  it("is given to the person", async () => {
    const ada = await registered();
    await save(ada, { label: "Home", address: home });
    await consent(ada, "RECOMMENDATIONS", true);
    const { exportMyData } = await ask(
      ada,
      `mutation { exportMyData { ... on DataExport { json elsewhere { what field } } } }`,
    );
    expect(JSON.parse(exportMyData.json)).toMatchObject({
      profile: { id: ada.sub, email: ada.email },
      addresses: [{ label: "Home", address: { city: "London" } }],
      consents: [
        { purpose: "RECOMMENDATIONS", granted: true },
        { purpose: "CART_REMINDERS", granted: false },
      ],
      correspondence: [],
    });
    expect(exportMyData.elsewhere.map(({ field }: { field: string }) => field)).toEqual(["me", "myOrders", "cart"]);
    expect(await ask({}, `mutation { exportMyData { __typename } }`)).toEqual({ code: "UNAUTHENTICATED" });
  });

  it("is gone once it was erased, and nothing that comes late brings it back", async () => {
    const [ada, guest] = [await registered(), await person(["GUEST"])];
    await save(ada, { address: home });
    await save(guest, { address: home });
    await consent(ada, "RECOMMENDATIONS", true);
    const first = await erase(ada);
    expect(first).toEqual({ __typename: "MyDataErased", at: expect.any(String) });
    expect(await erase(ada)).toEqual(first);
    const told = (await service.emitted()).filter((event) => event.key === ada.sub);
    expect(told.map(({ type, sequence }) => [type, sequence])).toEqual([
      [consentChanged.type, 1],
      [customerErased.type, 2],
    ]);
    expect(told[1]!.data).toEqual({ customerId: ada.sub, at: first.at });

    await service.deliver(
      userRegistered.create({ userId: ada.sub, email: ada.email }, { sequence: 3 }),
      guestClaimed.create({ guestId: guest.sub, userId: ada.sub }, { sequence: 4 }),
    );
    expect(await save(ada, { address: home })).toEqual({ __typename: "NotPossible", state: "ERASED" });
    expect(await consent(ada, "RECOMMENDATIONS", true)).toEqual({ __typename: "NotPossible", state: "ERASED" });
    for (const who of [ada, guest]) {
      expect((await profileOf(who)).customer).toMatchObject({ name: null, email: null, addresses: [] });
    }
    expect((await profileOf(ada)).customer.consents.some(({ granted }: { granted: boolean }) => granted)).toBe(false);
  });
});

describe("an import", () => {
  const bring = async (who: Person, list: object[]) => {
    const data = await ask(
      who,
      `mutation ($input: ImportCustomersInput!) { importCustomers(input: $input) { __typename ... on CustomersImported { added customers { id externalReference } } ... on InvalidInput { field } } }`,
      { input: { customers: list } },
    );
    return data.importCustomers ?? data;
  };

  it("makes each customer once", async () => {
    const staff = await person(["STAFF"]);
    const list = Array.from({ length: 500 }, (_, index) => ({
      externalReference: String(12_346 + index),
      country: index % 2 ? "GB" : "de",
    }));
    list[499] = { ...list[0]! };
    const first = await bring(staff, list);
    expect(first.added).toBe(499);
    expect(first.customers.map(({ externalReference }: { externalReference: string }) => externalReference)).toEqual(
      list.map((row) => row.externalReference),
    );
    expect(first.customers[499].id).toBe(first.customers[0].id);
    const second = await bring(staff, list.toReversed());
    expect(second).toMatchObject({ added: 0, customers: first.customers.toReversed() });
    const { customer } = await ask(staff, `query ($id: ID) { customer(id: $id) { country externalReference } }`, {
      id: first.customers[0].id,
    });
    expect(customer).toEqual({ country: "DE", externalReference: "12346" });
    const { customers: found } = await ask(staff, `{ customers(search: "12400") { nodes { externalReference } } }`);
    expect(found.nodes).toEqual([{ externalReference: "12400" }]);
  });

  it("refuses bad input as a whole", async () => {
    const staff = await person(["STAFF"]);
    const one = { externalReference: "bad-1" };
    expect(await bring(staff, [])).toEqual({ __typename: "InvalidInput", field: "customers" });
    expect(
      await bring(
        staff,
        Array.from({ length: 501 }, (_, n) => ({ externalReference: `bad-${n}` })),
      ),
    ).toEqual({ __typename: "InvalidInput", field: "customers" });
    expect(await bring(staff, [one, { externalReference: "x", country: "Utopia" }])).toEqual({
      __typename: "InvalidInput",
      field: "customers[1].country",
    });
    expect(await bring(staff, [one, { externalReference: " " }])).toEqual({
      __typename: "InvalidInput",
      field: "customers[1].externalReference",
    });
    expect((await service.admin.query("SELECT FROM customers WHERE external_reference LIKE 'bad-%'")).rowCount).toBe(0);
    expect(await bring(await person(), [one])).toEqual({ code: "FORBIDDEN" });
  });
});
