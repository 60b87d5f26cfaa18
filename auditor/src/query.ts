/** Runs one statement as the role `auditor` and gives its rows. */
export type Query = <Row extends Record<string, unknown>>(text: string, values: unknown[]) => Promise<Row[]>;
