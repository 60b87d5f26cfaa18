import type { World } from "./world.ts";

/** How many events of a key are parked by a service, and how many of its incidents are open about it. */
export async function parkedOf({ books }: World, service: string, key: string) {
  const { rows } = await books.query<{ parked: number; incidents: number }>(
    `SELECT (SELECT count(*)::int FROM ${service}.parked WHERE key = $1) AS parked,
            (SELECT count(*)::int FROM ${service}.incidents
             WHERE kind = 'EVENT_PARKED' AND subject = $1 AND resolved_at IS NULL) AS incidents`,
    [key],
  );
  return rows[0]!;
}

/** Discards a parked event, as staff does; resolves to how many are gone. */
export async function discardParked(world: World, service: string, id: string, reason: string): Promise<number> {
  const field = `${service}DiscardParked`;
  const query = `mutation Discard($id: ID!, $reason: String!) { ${field}(id: $id, reason: $reason) { discarded } }`;
  const answer = await world.graph.ask(query, { id, reason }, await world.staff());
  return answer[field].discarded as number;
}

/** Has the parked events of a key handled again, as staff does; resolves to how many were. */
export async function replayParked(world: World, service: string, key: string): Promise<number> {
  const field = `${service}ReplayParked`;
  const query = `mutation Replay($key: String!) { ${field}(key: $key) { handled } }`;
  const answer = await world.graph.ask(query, { key }, await world.staff());
  return answer[field].handled as number;
}
