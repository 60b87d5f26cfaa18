// What shoppers type, and what they mean by it.

/** Words of a text in lower case; digits belong to words, apostrophes do not split them. */
export function wordsOf(text: string): string[] {
  return (
    text
      .toLowerCase()
      .normalize("NFKC")
      .replaceAll(/['’]/g, "")
      .match(/[\p{L}\p{N}]+/gu) ?? []
  );
}

/**
 * Typing errors between two words: wrong, missing and extra letters and neighbours that changed places count one each
 * (optimal string alignment). Gives up beyond `atMost` and then returns more than it.
 */
export function typos(a: string, b: string, atMost: number): number {
  if (Math.abs(a.length - b.length) > atMost) return atMost + 1;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    let best = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      current.push(cost);
      best = Math.min(best, cost);
    }
    if (best > atMost) return atMost + 1;
    before = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/** How many errors a word of this length may have and still be recognised. */
function tolerance(length: number): number {
  if (length < 4) return 0;
  return length < 8 ? 1 : 2;
}

/** A word of the catalogue and in how many products it stands. */
export interface Word {
  word: string;
  products: number;
}

/**
 * The catalogue's word that was most likely meant: fewest errors, then the same first letter, then the more frequent.
 * Undefined where nothing is near enough.
 */
export function correct(typed: string, vocabulary: Word[]): string | undefined {
  let best: { word: string; rank: [number, number, number] } | undefined;
  for (const { word, products } of vocabulary) {
    const errors = typos(typed, word, tolerance(typed.length));
    if (errors > tolerance(typed.length)) continue;
    const rank: [number, number, number] = [errors, word[0] === typed[0] ? 0 : 1, -products];
    if (
      !best ||
      rank[0] < best.rank[0] ||
      (rank[0] === best.rank[0] && (rank[1] < best.rank[1] || (rank[1] === best.rank[1] && rank[2] < best.rank[2])))
    ) {
      best = { word, rank };
    }
  }
  return best?.word;
}
