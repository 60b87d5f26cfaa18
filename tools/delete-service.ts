/** `make delete-service NAME=reviews`: takes a service that nothing else needs out of the project, with all that it brought. */
import { existsSync, globSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Problem, main } from "./environment.ts";
import { changeProject, foldersOf } from "./new-service/changing.ts";
import { takeOutOfLists } from "./new-service/lists.ts";
import { repositoryRoot, serviceNames } from "./schemas.ts";

function chosen(): string {
  const name = process.env.NAME;
  if (!name) throw new Problem("Say which service goes: make delete-service NAME=reviews.");
  if (!serviceNames().includes(name))
    throw new Problem(`There is no service "${name}"; there are ${serviceNames().join(", ")}.`);
  return name;
}

/** Files that cannot do without the service: its events' contracts, and whoever imports its code. */
function usersOf(name: string): string[] {
  const contracts = `packages/events/src/${name}.ts`;
  const importing = globSync("{packages,services,gateway,provider,auditor,setup,tools,test}/**/*.ts", {
    cwd: repositoryRoot,
    exclude: (path) => path.endsWith("/node_modules") || path === `services/${name}`,
  }).filter((file) => readFileSync(join(repositoryRoot, file), "utf8").includes(`"@crowdcrunch/${name}/`));
  return existsSync(join(repositoryRoot, contracts)) ? [contracts, ...importing] : importing;
}

await main(async () => {
  const name = chosen();
  const users = usersOf(name);
  if (users.length > 0)
    throw new Problem(`${name} is needed by ${users.join(", ")}: take it out of there first. Nothing was changed.`);
  await changeProject(name, {
    packageManager: process.env.PNPM,
    say: console.log,
    change() {
      for (const folder of foldersOf(name)) rmSync(join(repositoryRoot, folder), { recursive: true });
      takeOutOfLists(name);
    },
  });
  console.log(`${name} is gone from the project. Databases that have it keep its schema until somebody drops it:
  DROP SCHEMA ${name} CASCADE; DROP ROLE ${name}, ${name}_owner;`);
});
