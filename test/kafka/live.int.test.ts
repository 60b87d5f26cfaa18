import { kafkaProgramMissing } from "@crowdcrunch/tools/kafka/program";
import { describe } from "vitest";
import { liveTests } from "../e2e/live.ts";
import { openShop } from "../e2e/whole-shop.ts";

describe.skipIf(kafkaProgramMissing() !== undefined)("listeners of a shop on Kafka:", () => {
  liveTests(() => openShop({ portOffset: 25_400, kafka: true }));
});
