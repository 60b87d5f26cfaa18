import { run } from "@crowdcrunch/kit/service";
import { exchanges } from "./service.ts";

await run(exchanges);
