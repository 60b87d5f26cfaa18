import { nextStep } from "@crowdcrunch/kit/key-rotation";
import type { KeyRing } from "@crowdcrunch/kit/key-rotation";
import { Problem } from "@crowdcrunch/kit/program";

/**
 * A key that others made is changed by them alone: throws a Problem that says what they are to do next, unless all that
 * is left is to publish their old key no more.
 */
export function refuseOthersKeys(name: string, ring: KeyRing, waitSeconds: number, nowMs = Date.now()): void {
  const step = nextStep(ring, { waitSeconds, nowMs });
  if (step.name === "retire") return;
  const given = `The Secret ${name} is made by others (secrets.existingSigningKey), who rotate its key.`;
  throw new Problem(
    step.name === "publish"
      ? `${given} First put the next one into it as next-signing-key.json, beside signing-key.json, and run this again: it publishes it.`
      : `${given} The next one, ${ring.next!.kid}, is published: from ${new Date(nowMs + step.waitMs).toISOString()} on put it in as signing-key.json, take next-signing-key.json out, and run this again: it retires the old one.`,
  );
}
