import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("a line that is written at once is there, also where the process is killed right behind it", () => {
  const program = `
    const { createLogger } = await import(${JSON.stringify(new URL("logger.ts", import.meta.url).href)});
    const log = createLogger({ service: "orders", level: "info", sync: true });
    for (let line = 1; line <= 100; line++) log.info({ line }, "said");
    process.kill(process.pid, "SIGKILL");
    await new Promise(() => {});
  `;
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" });
  expect(child.signal).toBe("SIGKILL");
  expect(JSON.parse(child.stdout.trimEnd().split("\n").at(-1)!)).toMatchObject({ msg: "said", line: 100 });
});
