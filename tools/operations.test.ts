import { expect, test } from "vitest";
import { operationsIn, operationsText } from "./operations.ts";
import type { ListedOperation } from "./operations.ts";

test("named operations in template literals are found, with the file's constants put in", () => {
  const source = [
    "const fields = `{ id name }`;",
    "const list = `query List($n: Int!) { products(first: $n) ${fields} }`;",
    "// As `query Name` says.",
    "const made = `query Made { ${field}(first: 1) { id } }`;",
    "say(`query the database ${name}`); ask(`mutation Put { put { ok } }`);",
  ].join("\n");
  expect(operationsIn(source)).toEqual([
    "query List($n: Int!) { products(first: $n) { id name } }",
    "mutation Put { put { ok } }",
  ]);
});

test("what the shop's clients ask is listed, the shopper's way through it too", () => {
  const { operations } = JSON.parse(operationsText([])) as { operations: ListedOperation[] };
  const names = operations.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["Guest", "Put", "Quote", "Place", "Timeline", "Return"]));
});
