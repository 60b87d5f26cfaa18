import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { handledTypes } from "./handled.ts";

/** How many events of a topic a group has not handled yet. */
export interface GroupLag {
  group: string;
  topic: string;
  events: number;
}

/** How far behind each group is with each topic that it reads. Throws where the log does not answer. */
export async function groupLags(eventLog: EventLog): Promise<GroupLag[]> {
  const ofGroups = Object.entries(handledTypes).map(async ([group, types]) => {
    const topics = [...new Set(types.map((type) => type.split(".")[0]!))];
    const events = new Map(topics.map((topic) => [topic, 0]));
    for (const { topic, committed, end } of await eventLog.lag(group, topics))
      events.set(topic, events.get(topic)! + Math.max(0, end - committed));
    return [...events].map(([topic, count]) => ({ group, topic, events: count }));
  });
  return (await Promise.all(ofGroups)).flat();
}
