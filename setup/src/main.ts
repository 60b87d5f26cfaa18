import { processEnvironment } from "@crowdcrunch/kit/config";
import { main } from "@crowdcrunch/kit/program";
import { endOnSignals, say } from "./progress.ts";
import { setUp } from "./setup.ts";

endOnSignals();
await main(() => setUp(processEnvironment(), say));
