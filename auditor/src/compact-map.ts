/**
 * A map from texts to small whole numbers that costs some twenty bytes an entry: texts are known by 64 bits of a hash, so
 * two of ten million are taken for one another once in several hundred thousand runs.
 */
export interface CompactMap {
  get(text: string): number | undefined;
  set(text: string, value: number): void;
  /** True where entries were dropped to stay within the bound: what it does not know may have been there. */
  readonly hasForgotten: boolean;
}

interface Generation {
  size: number;
  /** High and low half of the hash and the value of each slot; a free slot has zeros in both halves. */
  slots: Uint32Array;
}

const slotWidth = 3;
const firstSlots = 1024;

/**
 * Keeps at least the `atLeast` entries that were set or asked for last, and at most twice as many; all of them where it
 * is not given.
 */
export function createCompactMap(atLeast = Number.POSITIVE_INFINITY): CompactMap {
  let young = newGeneration(firstSlots);
  let old: Generation | undefined;
  let hasForgotten = false;

  function put(high: number, low: number, value: number): void {
    young = withRoom(young);
    const at = slotOf(young, high, low);
    if (isFree(young, at)) young.size += 1;
    young.slots.set([high, low, value], at);
    if (young.size < atLeast) return;
    if (old && old.size > 0) hasForgotten = true;
    old = young;
    young = newGeneration(firstSlots);
  }

  return {
    get(text) {
      const [high, low] = hashOf(text);
      const at = slotOf(young, high, low);
      if (!isFree(young, at)) return young.slots[at + 2]!;
      if (!old) return undefined;
      const before = slotOf(old, high, low);
      if (isFree(old, before)) return undefined;
      const value = old.slots[before + 2]!;
      put(high, low, value);
      return value;
    },
    set: (text, value) => put(...hashOf(text), value),
    get hasForgotten() {
      return hasForgotten;
    },
  };
}

/** 32 bits of a text's hash. */
export function shortHash(text: string): number {
  return hashOf(text)[1];
}

function newGeneration(slots: number): Generation {
  return { size: 0, slots: new Uint32Array(slots * slotWidth) };
}

function isFree({ slots }: Generation, at: number): boolean {
  return slots[at] === 0 && slots[at + 1] === 0;
}

function slotOf(generation: Generation, high: number, low: number): number {
  const { slots } = generation;
  const count = slots.length / slotWidth;
  for (let slot = (low ^ Math.imul(high, 0x9e3779b1)) & (count - 1); ; slot = (slot + 1) & (count - 1)) {
    const at = slot * slotWidth;
    if ((slots[at] === high && slots[at + 1] === low) || isFree(generation, at)) return at;
  }
}

function withRoom(generation: Generation): Generation {
  const { slots, size } = generation;
  if (size < (slots.length / slotWidth) * 0.7) return generation;
  const larger = newGeneration((slots.length / slotWidth) * 2);
  for (let at = 0; at < slots.length; at += slotWidth) {
    if (isFree(generation, at)) continue;
    larger.slots.set(slots.subarray(at, at + slotWidth), slotOf(larger, slots[at]!, slots[at + 1]!));
  }
  larger.size = size;
  return larger;
}

/** cyrb53 with its full 64 bits; never zero in both halves. */
function hashOf(text: string): [high: number, low: number] {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return [high >>> 0, low >>> 0 || 1];
}
