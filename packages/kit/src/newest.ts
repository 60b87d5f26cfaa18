/** The item of the highest version for each key: what a read model keeps of a batch, in which events may be out of order. */
export function newestBy<Item extends { version: number }>(items: Item[], keyOf: (item: Item) => string): Item[] {
  const newest = new Map<string, Item>();
  for (const item of items) {
    const known = newest.get(keyOf(item));
    if (!known || known.version < item.version) newest.set(keyOf(item), item);
  }
  return [...newest.values()];
}
