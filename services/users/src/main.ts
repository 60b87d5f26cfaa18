import { run } from "@crowdcrunch/kit/service";
import { users } from "./service.ts";

await run(users);
