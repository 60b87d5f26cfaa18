// The chart of accounts (the table `accounts` describes it to people). Debits are positive, credits negative.
//
//   authorize   CARD_HOLDS +x            OPEN_COMMITMENTS −x
//   capture     PROVIDER_RECEIVABLE +x   SALES −x       and the hold ends: OPEN_COMMITMENTS +x   CARD_HOLDS −x
//   void        OPEN_COMMITMENTS +x      CARD_HOLDS −x
//   refund      REFUNDS +x               PROVIDER_RECEIVABLE −x
//
// For one payment: authorized = debits of CARD_HOLDS, captured = debits of PROVIDER_RECEIVABLE, refunded = its credits.

export type Account = "CARD_HOLDS" | "OPEN_COMMITMENTS" | "PROVIDER_RECEIVABLE" | "SALES" | "REFUNDS";
export type MoneyKind = "AUTHORIZE" | "CAPTURE" | "VOID" | "REFUND";

export interface Entry {
  account: Account;
  amountMinor: number;
}

/** A transaction of the ledger: balanced, one for each operation that moved money. */
export interface Posting {
  paymentId: string;
  kind: MoneyKind;
  sequence: number;
  currency: string;
  entries: Entry[];
}

/** What an operation that moved `amountMinor` posts; nothing if nothing moved. */
export function entriesOf(kind: MoneyKind, amountMinor: number): Entry[] {
  if (amountMinor === 0) return [];
  const transfer = (debit: Account, credit: Account): Entry[] => [
    { account: debit, amountMinor },
    { account: credit, amountMinor: -amountMinor },
  ];
  switch (kind) {
    case "AUTHORIZE":
      return transfer("CARD_HOLDS", "OPEN_COMMITMENTS");
    case "CAPTURE":
      return [...transfer("PROVIDER_RECEIVABLE", "SALES"), ...transfer("OPEN_COMMITMENTS", "CARD_HOLDS")];
    case "VOID":
      return transfer("OPEN_COMMITMENTS", "CARD_HOLDS");
    case "REFUND":
      return transfer("REFUNDS", "PROVIDER_RECEIVABLE");
  }
}
