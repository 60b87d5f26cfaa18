/** Marks what must differ between copies of an order: a number takes the mark's place in each of them. */

/** Stands in no text of the shop. */
export const mark = "######";

// What stays has the time and all of the sequence of a UUIDv7, by which ids of one process and one millisecond differ.
const id = /([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{2})[0-9a-f]{6}([0-9a-f]{4})(?![0-9a-f])/g;
const word = /[A-Za-z0-9][A-Za-z0-9_-]*/g;

/** Programs act under ids like this one, which a shop's people do not have. */
const programs = /^00000000-/;

/**
 * Returns a function that marks a text: ids (UUIDs) in their random part, but for those in `alike`; names in `unlike`
 * at their end.
 */
export function createMarker({
  unlike,
  alike,
}: {
  unlike: ReadonlySet<string>;
  alike: ReadonlySet<string>;
}): (text: string) => string {
  return (text) =>
    text
      .replace(id, (found, before: string, after: string) =>
        alike.has(found) || programs.test(found) ? found : `${before}${mark}${after}`,
      )
      .replace(word, (found) => (unlike.has(found) ? `${found}${mark}` : found));
}
