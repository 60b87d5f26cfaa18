/** The checks in the order in which they run: what disturbs the shop more comes later. */
import type { Check } from "./check.ts";
import buy from "./checks/buy.ts";
import forgedToken from "./checks/forged-token.ts";
import helmTest from "./checks/helm-test.ts";
import hpa from "./checks/hpa.ts";
import install from "./checks/install.ts";
import kill from "./checks/kill.ts";
import live from "./checks/live.ts";
import minimal from "./checks/minimal.ts";
import plaintext from "./checks/plaintext.ts";
import reinstall from "./checks/reinstall.ts";
import restart from "./checks/restart.ts";
import scale from "./checks/scale.ts";
import shoppers from "./checks/shoppers.ts";
import uninstall from "./checks/uninstall.ts";
import upgrade from "./checks/upgrade.ts";
import wrongCaller from "./checks/wrong-caller.ts";

export const checks: readonly Check[] = [
  install,
  helmTest,
  buy,
  live,
  plaintext,
  wrongCaller,
  forgedToken,
  shoppers,
  kill,
  upgrade,
  scale,
  hpa,
  restart,
  uninstall,
  reinstall,
  minimal,
];
