import { run } from "@crowdcrunch/kit/service";
import { payments } from "./service.ts";

await run(payments);
