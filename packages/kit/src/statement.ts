/** A named prepared statement and the rows it returns. The name is unique within a service. */
export interface Statement<Row> {
  readonly name: string;
  readonly text: string;
  /** Carries the row type; never set. */
  readonly row?: Row;
}

/** Declares a prepared statement; parameters are `$1`, `$2` … and always bound. */
export function statement<Row = never>(name: string, text: string): Statement<Row> {
  return { name, text };
}

export interface Queryable {
  many<Row>(statement: Statement<Row>, params?: unknown[]): Promise<Row[]>;
  /** The first row; undefined where there is none. */
  one<Row>(statement: Statement<Row>, params?: unknown[]): Promise<Row | undefined>;
  /** The number of rows touched. */
  run(statement: Statement<unknown>, params?: unknown[]): Promise<number>;
}
