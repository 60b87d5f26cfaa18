/** The lists in which every service has a line. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../environment.ts";
import { repositoryRoot } from "../schemas.ts";
import type { Names } from "./naming.ts";

interface List {
  file: string;
  line(names: Names): string;
  /** What the line of a service begins with, and no other. */
  beginning(name: string): string;
  /** True of the line before which a new one goes. */
  isAfter(line: string, newLine: string): boolean;
}

/** The dependencies of those who know all services, sorted. */
function dependenciesOf(file: string): List {
  const ofProject = '    "@crowdcrunch/';
  return {
    file,
    line: ({ name }) => `${ofProject}${name}": "workspace:*",`,
    beginning: (name) => `${ofProject}${name}"`,
    isAfter: (line, newLine) => line.startsWith('    "') && line.endsWith(",") && line > newLine,
  };
}

const lists: List[] = [
  {
    file: "packages/shop/src/parts.ts",
    line: ({ name, port }) => `  { name: "${name}", port: ${port} },`,
    beginning: (name) => `  { name: "${name}",`,
    isAfter: (line) => line === "] as const;",
  },
  {
    file: "Chart.yaml",
    line: ({ name }) => `  - { name: ${name}, version: ">=0.0.0-0" }`,
    beginning: (name) => `  - { name: ${name},`,
    isAfter: (line) => line.startsWith("  - { name: gateway,"),
  },
  {
    file: "README.md",
    line: ({ name, port, Type }) =>
      `| [\`${name}\`](services/${name}/README.md) | ${port} | ${Type}: what shoppers say | what it begins with |`,
    beginning: (name) => `| [\`${name}\`](`,
    isAfter: (line) => line.startsWith("| [`gateway`]("),
  },
  dependenciesOf("tools/package.json"),
  dependenciesOf("test/package.json"),
];

/** The lists' files. */
export const listFiles = lists.map(({ file }) => file);

/** Gives the service a line in every list. Throws a Problem where one does not look as it should. */
export function addToLists(names: Names): void {
  for (const { file, line, isAfter } of lists) {
    const newLine = line(names);
    change(file, (lines) => {
      const index = lines.findIndex((one) => isAfter(one, newLine));
      if (index < 0) throw new Problem(`No place was found in ${file} for the line ${newLine.trim()}`);
      return lines.toSpliced(index, 0, newLine);
    });
  }
}

/** Takes the service's line out of every list. */
export function takeOutOfLists(name: string): void {
  for (const { file, beginning } of lists)
    change(file, (lines) => lines.filter((line) => !line.startsWith(beginning(name))));
}

function change(file: string, edit: (lines: string[]) => string[]): void {
  const path = join(repositoryRoot, file);
  writeFileSync(path, edit(readFileSync(path, "utf8").split("\n")).join("\n"));
}
