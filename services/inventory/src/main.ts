import { run } from "@crowdcrunch/kit/service";
import { inventory } from "./service.ts";

await run(inventory);
