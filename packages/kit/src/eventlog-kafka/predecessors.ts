import { protocolErrorOf } from "./client.ts";
import type { Inspector } from "./client.ts";
import { atCoordinator } from "./offsets.ts";

/** A member as Kafka describes it. */
interface Described {
  memberId: string;
  clientId: string;
}
/** What kafkajs' brokers can do beyond their types. */
interface Leaving {
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
}

/**
 * Takes members with this client's id out of a group: those who ended in this process' place without a farewell. Without
 * it their partitions would wait for the end of their session, and a join for the dead. Whoever is taken out and lives
 * joins again. Resolves to how many there were.
 */
export async function dismissPredecessors(inspector: Inspector, groupId: string, clientId: string): Promise<number> {
  return inspector.ask(async (cluster) => {
    const description = await atCoordinator(cluster, groupId, (coordinator) =>
      coordinator.describeGroups({ groupIds: [groupId] }),
    );
    const members = (description.groups as { members: Described[] }[]).flatMap((group) => group.members);
    const dead = members.filter((member) => member.clientId === clientId);
    for (const { memberId } of dead)
      await atCoordinator(cluster, groupId, (coordinator) =>
        (coordinator as unknown as Leaving).leaveGroup({ groupId, memberId }),
      ).catch((error: unknown) => {
        // Its session has ended meanwhile.
        if (protocolErrorOf(error) !== "UNKNOWN_MEMBER_ID") throw error;
      });
    return dead.length;
  });
}
