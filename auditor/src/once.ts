/**
 * `make audit` where the auditor runs: audits once, prints what it finds, and exits with 1 where something does not hold.
 * In a cluster: kubectl exec deploy/auditor -- node auditor/src/once.ts WINDOW=0
 */
import { processEnvironment, readConfig } from "@crowdcrunch/kit/config";
import { Problem, main } from "@crowdcrunch/kit/program";
import Type from "typebox";
import { auditorVariables } from "./auditor.ts";
import { sayVerdict } from "./verdict.ts";

const { DATABASE_URL } = auditorVariables;

await main(async () => {
  const given = process.argv.slice(2).map((argument): [string, string] => {
    const [name = "", ...value] = argument.split("=");
    if (!["WINDOW", "ACKNOWLEDGED"].includes(name))
      throw new Problem(
        `${argument} is not understood: there are WINDOW=<seconds> and ACKNOWLEDGED=<file>, or - for standard input.`,
      );
    return [name, value.join("=")];
  });
  const env = { ...processEnvironment(), ...Object.fromEntries(given) };
  const holds = await sayVerdict({
    url: readConfig(Type.Object({ DATABASE_URL }), env).DATABASE_URL,
    env,
    say: (line) => process.stdout.write(`${line}\n`),
    wayOut: "see whether Postgres runs.",
  });
  if (!holds) process.exitCode = 1;
});
