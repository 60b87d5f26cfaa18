/** What must hold in the whole shop. Numbers and words are those of docs/invariants.md. */
import type { CheckedInvariant, Invariant } from "./invariant.ts";
import { messagesInvariants } from "./messages.ts";
import { moneyInvariants } from "./money.ts";
import { oneEffect } from "./one-effect.ts";
import { ordersInvariants } from "./orders.ts";
import { stockInvariants } from "./stock.ts";

/** All invariants, by number; what the audit does not check says where it is checked. */
export const invariants: readonly Invariant[] = [
  ...moneyInvariants,
  ...stockInvariants,
  ...ordersInvariants,
  ...messagesInvariants,
  oneEffect,
  {
    number: 22,
    name: "nothing_acknowledged_is_missing",
    says: "Nothing acknowledged to a client is missing.",
    kind: "driver",
    where: "by what make bench and make chaos were told; here with ACKNOWLEDGED=<their log>",
  } as const,
  {
    number: 24,
    name: "no_unexpected_allow",
    says: "Role × field × owner: no unexpected allow.",
    kind: "matrix",
    where: "generated in test/e2e/roles.int.test.ts",
  } as const,
].sort((a, b) => a.number - b.number);

/** Those that the audit checks. */
export const checkedInvariants: readonly CheckedInvariant[] = invariants.filter(
  (invariant): invariant is CheckedInvariant => !("where" in invariant),
);
