import { processEnvironment } from "@crowdcrunch/kit/config";
import { runProcess } from "@crowdcrunch/kit/process";
import { startProvider } from "./provider.ts";

await runProcess("provider", () => startProvider({ env: processEnvironment() }));
