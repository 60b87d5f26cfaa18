import { describeEventLog } from "@crowdcrunch/kit/testing/eventlog-conformance";
import { createKafkaEventLogWorld } from "@crowdcrunch/kit/testing/kafka-eventlog-world";
import { describeOnKafka } from "@crowdcrunch/kit/testing/kafka";

describeOnKafka("on a Kafka", (brokers) => {
  describeEventLog("the event log on Kafka", () =>
    createKafkaEventLogWorld(brokers, ["orders", "payments", "inventory"], { shuffleSeed: 7 }),
  );
});
