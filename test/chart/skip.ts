import { beforeEach, inject } from "vitest";

// Every test of the chart, with the reason, where this machine has no helm; see global-setup.ts.
beforeEach(({ skip }) => {
  const tools = inject("chartTools");
  if ("missing" in tools) skip(tools.missing);
});
