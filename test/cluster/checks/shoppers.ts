import { check } from "../check.ts";
import { laptopMiB } from "../installation.ts";
import { eightShoppers } from "../eight-shoppers.ts";

export default check({
  name: "shoppers",
  shows: "eight shoppers for two minutes: memory stays below what the profile promises, nothing is killed or restarts",
  seconds: 240,
  run: (world) => eightShoppers(world, world.shop, { what: "values.yaml", promisedMiB: laptopMiB, seconds: 120 }),
});
