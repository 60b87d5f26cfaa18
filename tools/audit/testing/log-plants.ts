import type { DeliveredEvent } from "@crowdcrunch/kit/eventlog";

/** Something wrong between the log and the database of the world, or what only looks so. */
export interface LogPlant {
  what: string;
  /** The invariant that reports it; none where all is well. */
  invariant?: 15 | 17 | 18;
  /** The events as they come to the log. */
  events?(all: DeliveredEvent[], ids: WorldIds): DeliveredEvent[];
  /** What is done to the database as a superuser. */
  sql?: string;
}

export interface WorldIds {
  /** An order that is completed; ten events are about it. */
  completed: string;
}

const anEvent = (all: DeliveredEvent[], type: string, subject?: string) =>
  all.find((event) => event.type === type && (subject === undefined || event.subject === subject))!;
const another = (id: string, nth: number) => `${id.slice(0, -4)}999${nth}`;

/** At least one for each invariant that is read from the log, and what must not be taken for a violation. */
export const logPlants: LogPlant[] = [
  { what: "the log as it should be" },
  {
    what: "an event that its consumer passed over",
    invariant: 15,
    sql: `DELETE FROM payments.inbox WHERE event_id = (
            SELECT id FROM eventlog.events WHERE type = 'orders.payment-requested.v1' LIMIT 1)`,
  },
  {
    what: "a version that its consumer does not know, and dropped",
    invariant: 15,
    events(all) {
      const event = anEvent(all, "orders.order-completed.v1");
      const unknown = { type: "orders.order-completed.v2", key: "new", subject: "new", sequence: 1 };
      return [...all, { ...event, ...unknown, id: another(event.id, 1) }];
    },
  },
  {
    what: "an event that waits, and one that is parked",
    sql: `INSERT INTO payments.waiting (event_id, key, event)
            SELECT id, key, '{}' FROM eventlog.events WHERE type = 'orders.payment-requested.v1' ORDER BY id LIMIT 1;
          INSERT INTO payments.parked (event_id, key, event, reason)
            SELECT id, key, '{}', 'poison' FROM eventlog.events WHERE type = 'orders.payment-requested.v1' ORDER BY id DESC LIMIT 1;
          INSERT INTO payments.incidents (id, kind, subject, detail)
            SELECT gen_random_uuid(), 'EVENT_PARKED', key, '' FROM payments.parked;
          DELETE FROM payments.inbox WHERE event_id IN (SELECT event_id FROM payments.waiting UNION SELECT event_id FROM payments.parked)`,
  },
  {
    what: "a gap",
    invariant: 17,
    events: (all, { completed }) =>
      all.map((event) =>
        event.subject === completed && event.topic === "orders" && event.sequence === 10
          ? { ...event, sequence: 11 }
          : event,
      ),
  },
  {
    what: "an event in the middle that never came to the log",
    invariant: 17,
    events: (all, { completed }) =>
      all.filter(({ topic, subject, sequence }) => topic !== "orders" || subject !== completed || sequence !== 4),
  },
  {
    what: "a last event that never came to the log",
    invariant: 17,
    events: (all, { completed }) =>
      all.filter(({ topic, subject, sequence }) => topic !== "orders" || subject !== completed || sequence !== 10),
  },
  {
    what: "an event of a version that its aggregate has not counted",
    invariant: 17,
    events(all, { completed }) {
      const event = anEvent(all, "orders.order-shipped.v1", completed);
      return [...all, { ...event, type: "orders.noted.v1", id: another(event.id, 2), sequence: 11 }];
    },
  },
  {
    what: "an aggregate without an event",
    invariant: 17,
    sql: `UPDATE inventory.skus SET availability_version = 1
          WHERE id = (SELECT id FROM inventory.skus WHERE availability_version = 0 LIMIT 1)`,
  },
  {
    what: "two events with one version",
    invariant: 17,
    events(all) {
      const event = anEvent(all, "users.user-registered.v1");
      return [...all, { ...event, type: "users.tokens-revoked.v1", id: another(event.id, 3) }];
    },
  },
  {
    what: "events that come again, and states that are published again",
    events(all) {
      const [event, product] = [anEvent(all, "orders.order-placed.v1"), anEvent(all, "inventory.product-changed.v1")];
      const received = { id: product.id, republished: true };
      return [...all.slice(0, 40), ...all.slice(20, 40), ...all.slice(40), event, { ...product, ...received }];
    },
  },
  {
    what: "a product shown as it was before",
    invariant: 18,
    sql: `SET LOCAL session_replication_role = replica; UPDATE orders.catalogue_products SET version = 0`,
  },
  {
    what: "a product that is not shown any more",
    invariant: 18,
    sql: `DELETE FROM frontend.products WHERE product_id = (SELECT product_id FROM frontend.products LIMIT 1)`,
  },
  {
    what: "a consent as it was before",
    invariant: 18,
    sql: `SET LOCAL session_replication_role = replica; UPDATE frontend.consents SET version = 0`,
  },
  {
    what: "a consent of somebody who is erased",
    sql: `INSERT INTO frontend.erased (customer_id, at) SELECT customer_id, now() FROM frontend.consents; DELETE FROM frontend.consents`,
  },
  {
    what: "a read model without its guard",
    invariant: 18,
    sql: `ALTER TABLE frontend.availabilities DISABLE TRIGGER never_older`,
  },
];
