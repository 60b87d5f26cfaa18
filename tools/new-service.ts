/**
 * `make new-service NAME=reviews`: a service that runs, with one entity, one mutation, tests and a chart, in every list of
 * the project. TYPE=Review says what the entity is called, where that does not follow from NAME.
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "./environment.ts";
import { changeProject } from "./new-service/changing.ts";
import { addToLists } from "./new-service/lists.ts";
import { chooseNames } from "./new-service/naming.ts";
import type { Names } from "./new-service/naming.ts";
import { repositoryRoot } from "./schemas.ts";

const templates = fileURLToPath(new URL("new-service/template", import.meta.url));

function filled(text: string, names: Names): string {
  return text.replaceAll(/%(name|Type|type|port)%/g, (_, which: keyof Names) => names[which]);
}

function writeTemplates(names: Names): void {
  for (const file of globSync("**/*.template", { cwd: templates })) {
    const target = join(repositoryRoot, filled(file, names).replace(/\.template$/, ""));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, filled(readFileSync(join(templates, file), "utf8"), names));
  }
}

await main(async () => {
  const names = chooseNames(process.env.NAME, process.env.TYPE);
  const { name, Type, type, port } = names;
  const say = console.log;
  say(`services/${name} on port ${port}, with the entity ${Type}.`);
  await changeProject(name, {
    packageManager: process.env.PNPM,
    say,
    change() {
      writeTemplates(names);
      addToLists(names);
    },
  });
  say(`
${name} is in the graph (${type}, create${Type}), in the chart and in the README's table. From here:

  make up                          it starts with the others, at http://127.0.0.1:${port}/graphql
  make test                        its tests run, and the access matrix has its fields
  services/${name}/schema.graphql   is where you begin

docs/parts.svg is drawn by hand and does not show it. make delete-service NAME=${name} takes all of it away again.`);
});
