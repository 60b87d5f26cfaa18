import { processEnvironment } from "@crowdcrunch/kit/config";
import { runProcess } from "@crowdcrunch/kit/process";
import { startAuditor } from "./auditor.ts";

await runProcess("auditor", () => startAuditor({ env: processEnvironment() }));
