import { run } from "@crowdcrunch/kit/service";
import { fulfillment } from "./service.ts";

await run(fulfillment);
