import { processEnvironment } from "@crowdcrunch/kit/config";
import { runProcess } from "@crowdcrunch/kit/service";
import { startProvider } from "./provider.ts";

await runProcess("provider", () => startProvider({ env: processEnvironment() }));
