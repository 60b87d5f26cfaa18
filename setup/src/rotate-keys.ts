/** Gives the shop a new key for access tokens while it runs, in 40 minutes; broken off, it goes on where it was. */
import { processEnvironment, readConfig } from "@crowdcrunch/kit/config";
import { rotateKeys } from "@crowdcrunch/kit/key-rotation";
import { main } from "@crowdcrunch/kit/program";
import { openCluster } from "./cluster.ts";
import { endOnSignals, say } from "./progress.ts";
import { refuseOthersKeys } from "./rotation.ts";
import { clusterKeys, ensureKeys } from "./signing-keys.ts";
import { rotationVariables } from "./variables.ts";

endOnSignals();
await main(async () => {
  const { WAIT_SECONDS: waitSeconds, ...config } = readConfig(rotationVariables, processEnvironment());
  const keys = await openCluster(config, say);
  await ensureKeys(keys);
  const store = clusterKeys(keys);
  if (!keys.make) refuseOthersKeys(keys.name, await store.read(), waitSeconds);
  await rotateKeys({ store, waitSeconds, say });
});
