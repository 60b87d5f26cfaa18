/** A small generator of numbers from 0 to below 1 (mulberry32): the same seed gives the same numbers. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Mixes the partitions of a batch at random, and keeps the order within each. */
export function interleave<Event extends { topic: string; partition: number }>(
  events: Event[],
  random: () => number,
): Event[] {
  const queues = Map.groupBy(events, (event) => `${event.topic} ${event.partition}`);
  const open = [...queues.values()].map((queue) => queue.toReversed());
  const mixed: Event[] = [];
  while (open.length > 0) {
    const index = Math.floor(random() * open.length);
    const queue = open[index]!;
    mixed.push(queue.pop()!);
    if (queue.length === 0) open.splice(index, 1);
  }
  return mixed;
}
