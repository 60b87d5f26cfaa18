/** Reads an Online Retail file row by row; what is broken is reported and left out. */
import { parse } from "csv-parse/sync";
import { Problem } from "../environment.ts";
import { isGoods } from "./goods.ts";
import { minorUnits } from "./money.ts";
import { recordsOf } from "./records.ts";
import type { CsvRecord } from "./records.ts";

/** A row of the file. */
export interface Row {
  /** Where it stands in the file; the first line is 1. */
  line: number;
  invoice: string;
  /** Case-sensitive: 47 pairs of codes of the sample differ by case alone. */
  code: string;
  description: string;
  quantity: number;
  /** ISO 8601 without a zone: the shop's local time. */
  at: string;
  /** The price of a unit in pence; null where it is finer than that, which only what is not goods may be. */
  unitMinor: number | null;
  /** The customer's number; empty for a guest. */
  customer: string;
  country: string;
}

/** A row that cannot be used. */
export interface BrokenRow {
  line: number;
  /** What is wrong, in words. */
  reason: string;
}

const columns = [
  "InvoiceNo",
  "StockCode",
  "Description",
  "Quantity",
  "InvoiceDate",
  "UnitPrice",
  "CustomerID",
  "Country",
] as const;
type Column = (typeof columns)[number];

/** A file that cannot be read at all: its columns are not those of an Online Retail file. */
export class UnreadableFile extends Problem {
  override name = "UnreadableFile";
}

/**
 * The rows of a file, in its order. Columns are known by their names in the first line, whatever their order; UTF-8 with
 * or without a byte order mark. Throws UnreadableFile where columns are missing.
 */
export async function* readRows(file: string, report: (broken: BrokenRow) => void): AsyncGenerator<Row> {
  let header: Header | undefined;
  for await (const batch of recordsOf(file)) {
    let records = batch;
    if (!header && records.length > 0) {
      header = headerOf(file, records[0]!);
      records = records.slice(1);
    }
    if (!header) continue;
    const fields = fieldsOfAll(records);
    for (const [index, record] of records.entries()) {
      const row = rowOf(record, fields[index]!, header);
      if (typeof row === "string") report({ line: record.line, reason: row });
      else yield row;
    }
  }
  if (!header)
    throw new UnreadableFile(`${file} is empty; its first line must name the columns ${columns.join(", ")}.`);
}

interface Header {
  count: number;
  at: Record<Column, number>;
}

function headerOf(file: string, record: CsvRecord): Header {
  if (/^(?:\xff\xfe|\xfe\xff)/.test(record.text)) {
    throw new UnreadableFile(`${file} is UTF-16; save it as CSV in UTF-8.`);
  }
  const text = record.text.replace(/^\xef\xbb\xbf/, "");
  const [names] = fieldsOfAll([{ ...record, text }]);
  const trimmed = Array.isArray(names) ? names.map((name) => name.trim()) : [];
  const missing = columns.filter((column) => !trimmed.includes(column));
  if (missing.length > 0) {
    throw new UnreadableFile(
      `${file} lacks the column${missing.length > 1 ? "s" : ""} ${missing.join(", ")}: its first line must name ${columns.join(", ")}.`,
    );
  }
  return {
    count: trimmed.length,
    at: Object.fromEntries(columns.map((column) => [column, trimmed.indexOf(column)])) as Record<Column, number>,
  };
}

const options = { relax_column_count: true, skip_empty_lines: false, record_delimiter: "\n" };

/** The fields of each record, or why it has none. All at once, and one by one only where one of them is broken. */
function fieldsOfAll(records: CsvRecord[]): (string[] | string)[] {
  try {
    const all = parse(records.map(({ text }) => text).join("\n"), options) as string[][];
    if (all.length === records.length) return all;
  } catch {
    // The loop below finds the guilty ones.
  }
  return records.map(({ text }) => {
    try {
      const all = parse(text, options) as string[][];
      return all.length === 1 ? all[0]! : "cannot be read as CSV";
    } catch {
      return "has a quote that is not closed, or one in the middle of a field";
    }
  });
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const beyondAscii = /[\x80-\xff]/;

function decoded(latin1: string): string | undefined {
  if (!beyondAscii.test(latin1)) return latin1;
  try {
    return utf8.decode(Buffer.from(latin1, "latin1"));
  } catch {
    return undefined;
  }
}

/** The row of a record, or what is wrong with it. */
function rowOf(record: CsvRecord, fields: string[] | string, header: Header): Row | string {
  if (typeof fields === "string") return fields;
  if (fields.length !== header.count) {
    return `has ${fields.length} column${fields.length === 1 ? "" : "s"} in place of ${header.count}`;
  }
  const texts = {} as Record<Column, string>;
  for (const column of columns) {
    const text = decoded(fields[header.at[column]]!);
    if (text === undefined) return `is not UTF-8 in the column ${column}: save the file in UTF-8`;
    texts[column] = text.trim();
  }

  const code = texts.StockCode;
  const quantity = Number(texts.Quantity);
  const at = momentOf(texts.InvoiceDate);
  const unitMinor = minorUnits(texts.UnitPrice);
  if (texts.InvoiceNo === "") return "has no InvoiceNo";
  if (code === "") return "has no StockCode";
  if (!/^-?\d+$/.test(texts.Quantity) || !Number.isSafeInteger(quantity))
    return `has the Quantity "${texts.Quantity}", which is not a whole number`;
  if (at === undefined) return `has the InvoiceDate "${texts.InvoiceDate}", which is not day/month/year hour:minute`;
  if (unitMinor === undefined) return `has the UnitPrice "${texts.UnitPrice}", which is not a decimal number`;
  if (unitMinor === null && isGoods(code)) return `has the UnitPrice "${texts.UnitPrice}", which is finer than a penny`;
  if (!/^\d*$/.test(texts.CustomerID)) return `has the CustomerID "${texts.CustomerID}", which is not a number`;
  return {
    line: record.line,
    invoice: texts.InvoiceNo,
    code,
    description: texts.Description.replaceAll(/\s+/g, " "),
    quantity,
    at,
    unitMinor,
    customer: texts.CustomerID,
    country: texts.Country,
  };
}

/** "01/12/2010 08:26" as 2010-12-01T08:26; undefined where there is no such day or time. */
function momentOf(text: string): string | undefined {
  const match = /^(\d{1,2})\/(\d{1,2})\/(\d{4}) (\d{1,2}):(\d{2})(?::\d{2})?$/.exec(text);
  if (!match) return undefined;
  const [day, month, year, hour, minute] = match.slice(1).map(Number) as [number, number, number, number, number];
  const moment = new Date(Date.UTC(year, month - 1, day, hour, minute));
  const exists = moment.getUTCDate() === day && moment.getUTCMonth() === month - 1 && hour < 24 && minute < 60;
  return exists ? moment.toISOString().slice(0, 16) : undefined;
}
