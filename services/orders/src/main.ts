import { run } from "@crowdcrunch/kit/service";
import { orders } from "./service.ts";

await run(orders);
