import { run } from "@crowdcrunch/kit/service";
import { frontend } from "./service.ts";

await run(frontend);
