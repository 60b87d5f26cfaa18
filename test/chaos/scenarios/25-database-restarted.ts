import { scenario } from "../scenario.ts";

export default scenario({
  number: 25,
  name: "database-restarted",
  fault: "database restarted",
  hypothesis:
    "While Postgres is away requests fail with errors that say when to try again, and nothing half-done stays.",
  expectation: "retryable errors; commit outcome resolved",
  async run({ processes, inject, heal, fired, expect, lasts, load, until }) {
    const before = load.repeats();
    await inject("Postgres is stopped (fast: it ends its sessions)", () => processes.stop("postgres"));
    await lasts(10);
    fired(1, "the supervisor saw Postgres end");
    await heal("Postgres is back", () => processes.start("postgres"));
    expect("shoppers were told to ask again", load.repeats() > before, `${load.repeats() - before} repeats`);

    const pid = processes.pidOf("postgres");
    await inject("Postgres is killed", () => processes.kill("postgres"));
    await heal("Postgres is back, after crash recovery");
    fired(Number(processes.pidOf("postgres") !== pid), "Postgres has another pid");
    const acknowledged = load.acknowledged.length;
    await until("more purchases", () => load.acknowledged.length > acknowledged + 20);
  },
});
