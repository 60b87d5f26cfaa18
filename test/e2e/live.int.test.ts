import { describe } from "vitest";
import { liveTests } from "./live.ts";
import { openShop } from "./whole-shop.ts";

describe("listeners of a shop on the embedded log:", () => {
  liveTests(() => openShop({ portOffset: 25_000 }));
});
