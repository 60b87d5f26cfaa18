import type { EventOf } from "@crowdcrunch/events/contract";
import type { guestClaimed, userRegistered } from "@crowdcrunch/events/users";
import type { Transaction } from "@crowdcrunch/kit/database";
import { signOrderLink } from "@crowdcrunch/kit/order-link";
import type { LetterEvent, Links } from "./letters.ts";
import { letterOf } from "./letters.ts";
import { queueMails } from "./store-mails.ts";
import { claimGuests, saveProfiles } from "./store-people.ts";

export interface EventContext {
  config: { PUBLIC_URL: string; ORDER_LINK_SECRET: string; ORDER_LINK_DAYS: number };
  /** Called once mails wait to be sent. */
  onQueued: () => void;
}

/** What customers does with the events of others, a batch at a time. */
export function createEventCommands({ config, onQueued }: EventContext) {
  const links: Links = {
    publicUrl: config.PUBLIC_URL,
    orderToken: (order, at) =>
      signOrderLink(config.ORDER_LINK_SECRET, {
        ...order,
        expiresAt: new Date(at.getTime() + config.ORDER_LINK_DAYS * 86_400_000),
      }),
  };

  return {
    /** Writes the mails that the events ask for. They are sent after the commit. */
    async writeLetters(tx: Transaction, events: LetterEvent[]): Promise<void> {
      const letters = events.flatMap((event) => letterOf(event, links) ?? []);
      if (letters.length > 0 && (await queueMails(tx, letters)) > 0) tx.afterCommit(onQueued);
    },

    /** Keeps profiles; of several registrations of one person in a batch the last counts. */
    async keepProfiles(tx: Transaction, events: EventOf<typeof userRegistered>[]): Promise<void> {
      const latest = new Map(events.map(({ data }) => [data.userId, { ...data, name: data.name ?? null }]));
      await saveProfiles(tx, [...latest.values()]);
      tx.afterCommit(onQueued);
    },

    /** What a guest had is the account's. */
    async claimGuests(tx: Transaction, events: EventOf<typeof guestClaimed>[]): Promise<void> {
      await claimGuests(
        tx,
        events.map(({ data }) => data),
      );
      tx.afterCommit(onQueued);
    },
  };
}

export type EventCommands = ReturnType<typeof createEventCommands>;
