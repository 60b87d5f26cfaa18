import { processEnvironment } from "@crowdcrunch/kit/config";
import { runProcess } from "@crowdcrunch/kit/process";
import { startGateway } from "./gateway.ts";

await runProcess("gateway", () => startGateway({ env: processEnvironment() }));
