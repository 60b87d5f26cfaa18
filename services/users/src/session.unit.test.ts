import { expect, test } from "vitest";
import { judgeRefresh } from "./session.ts";

test.each([
  { token: "CURRENT", withinGrace: true, expired: false, verdict: "ROTATE" },
  { token: "CURRENT", withinGrace: false, expired: false, verdict: "ROTATE" },
  { token: "PREVIOUS", withinGrace: true, expired: false, verdict: "REPEAT" },
  { token: "PREVIOUS", withinGrace: false, expired: false, verdict: "END" },
  { token: "OTHER", withinGrace: true, expired: false, verdict: "END" },
  { token: "OTHER", withinGrace: false, expired: false, verdict: "END" },
  { token: "CURRENT", withinGrace: true, expired: true, verdict: "END" },
] as const)("$token (grace: $withinGrace, expired: $expired) -> $verdict", ({ verdict, ...presented }) => {
  expect(judgeRefresh(presented)).toBe(verdict);
});
