/**
 * Does `work` for each item in order, so many at once. Takes no further items once `stop` is aborted or one threw; then
 * rejects when what was under way has ended.
 */
export async function bounded<Item>(
  items: readonly Item[],
  limit: number,
  stop: AbortSignal,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { error: unknown } | undefined;
  async function worker(): Promise<void> {
    while (next < items.length && !failure && !stop.aborted) {
      try {
        await work(items[next++]!);
      } catch (error) {
        failure ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failure) throw failure.error;
  stop.throwIfAborted();
}
