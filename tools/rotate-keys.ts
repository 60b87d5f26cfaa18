/**
 * `make rotate-keys`: gives the shop a new key for access tokens while it runs; it takes 40 minutes, may be broken off,
 * and goes on when it is called again. WAIT_SECONDS=… waits less between the steps: tokens of the old key then end early
 * and their people refresh them.
 */
import { rotateKeys, rotationWaitSeconds } from "@crowdcrunch/kit/key-rotation";
import { Problem, main, shopPlace } from "./environment.ts";
import { keyFiles } from "./key-rotation.ts";

/** Services look at their key files once a second. */
const leastSeconds = 3;

await main(async () => {
  const text = process.env.WAIT_SECONDS || String(rotationWaitSeconds);
  const waitSeconds = Number(text);
  if (!(waitSeconds >= leastSeconds)) {
    throw new Problem(`WAIT_SECONDS is "${text}"; it must be a number of ${leastSeconds} or more.`);
  }
  await rotateKeys({ store: keyFiles(shopPlace().varDir), waitSeconds, say: (sentence) => console.log(sentence) });
});
