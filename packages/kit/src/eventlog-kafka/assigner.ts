import { AssignerProtocol } from "kafkajs";
import type { PartitionAssigner } from "kafkajs";

/**
 * Gives each member a like share of the partitions of the topics that it reads. kafkajs' own assigner gives all topics of
 * the group's leader to all members: while an old and a new version of a service run together, partitions would go to a
 * member that does not read them, and nobody would.
 */
export const fairShares: PartitionAssigner = ({ cluster }) => ({
  name: "CrowdCrunchFairShares",
  version: 1,
  async assign({ members }) {
    const readers = new Map<string, string[]>();
    for (const { memberId, memberMetadata } of members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1))) {
      for (const topic of AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? []) {
        readers.set(topic, [...(readers.get(topic) ?? []), memberId]);
      }
    }
    // The leader need not read all topics itself.
    await cluster.addMultipleTargetTopics([...readers.keys()]);
    const shares = new Map<string, Record<string, number[]>>(members.map(({ memberId }) => [memberId, {}]));
    let turn = 0;
    for (const [topic, memberIds] of [...readers].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      for (const { partitionId } of cluster.findTopicPartitionMetadata(topic)) {
        // One count over all topics, so that the same member is not always the first, with one partition more.
        const share = shares.get(memberIds[turn++ % memberIds.length]!)!;
        (share[topic] ??= []).push(partitionId);
      }
    }
    return [...shares].map(([memberId, assignment]) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) }),
    }));
  },
  protocol: ({ topics }) => ({
    name: "CrowdCrunchFairShares",
    metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }),
  }),
});
