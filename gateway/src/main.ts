import { processEnvironment } from "@crowdcrunch/kit/config";
import { runProcess } from "@crowdcrunch/kit/service";
import { startGateway } from "./gateway.ts";

await runProcess("gateway", () => startGateway({ env: processEnvironment() }));
