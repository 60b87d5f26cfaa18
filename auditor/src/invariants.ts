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
    kind: "elsewhere",
    where: "beside the log of a load driver: make bench and the tests of faults",
  } as const,
  {
    number: 24,
    name: "no_unexpected_allow",
    says: "Role × field × owner: no unexpected allow.",
    kind: "elsewhere",
    where: "the generated matrix of test/e2e",
  } as const,
].sort((a, b) => a.number - b.number);

/** Those that the audit checks. */
export const checkedInvariants: readonly CheckedInvariant[] = invariants.filter(
  (invariant) => invariant.kind !== "elsewhere",
);
