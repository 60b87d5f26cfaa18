import { run } from "@crowdcrunch/kit/service";
import { customers } from "./service.ts";

await run(customers);
