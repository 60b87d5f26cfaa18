/** What measured values come to: pure functions. */

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The value below which this share of all lies, 0 to 1. */
export function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** "0.93"; "–" where one of the two was not measured. */
export function ratio(value: number, base: number): string {
  const quotient = value / base;
  return Number.isFinite(quotient) ? quotient.toFixed(2) : "–";
}

/** What shoppers saw at one number of shoppers. */
export interface Pace {
  purchasesPerS: number;
  placeToConfirmedP50Ms: number;
  placeToConfirmedP99Ms: number;
}

/** Rows that compare two by the number of shoppers; `names` are what the columns begin with, the base first. */
export function sideBySide(
  names: [base: string, other: string],
  base: Record<string, Pace>,
  other: Record<string, Pace>,
): Record<string, string | number>[] {
  const [one, two] = names;
  return Object.entries(base).flatMap(([shoppers, of]) => {
    const against = other[shoppers];
    if (!against) return [];
    return {
      shoppers: Number(shoppers),
      [`${one} purchases/s`]: of.purchasesPerS.toFixed(1),
      [`${two} purchases/s`]: against.purchasesPerS.toFixed(1),
      [`${two}/${one}`]: ratio(against.purchasesPerS, of.purchasesPerS),
      [`${one} p50 ms`]: of.placeToConfirmedP50Ms.toFixed(0),
      [`${two} p50 ms`]: against.placeToConfirmedP50Ms.toFixed(0),
      [`p50 ${two}/${one}`]: ratio(against.placeToConfirmedP50Ms, of.placeToConfirmedP50Ms),
      [`${one} p99 ms`]: of.placeToConfirmedP99Ms.toFixed(0),
      [`${two} p99 ms`]: against.placeToConfirmedP99Ms.toFixed(0),
      [`p99 ${two}/${one}`]: ratio(against.placeToConfirmedP99Ms, of.placeToConfirmedP99Ms),
    };
  });
}

/** From and to, in minutes since the start. */
export type Window = [fromMinutes: number, toMinutes: number];

/** The two parts of a soak whose memory is compared: minutes 3 to 5 and the last 5; a short one in proportion. */
export function soakWindows(minutes: number): { early: Window; late: Window } {
  const scale = Math.min(1, minutes / 15);
  return { early: [3 * scale, 5 * scale], late: [minutes - 5 * scale, minutes] };
}

export interface MemorySample {
  atMinutes: number;
  /** MiB by process. */
  memoryMiB: Record<string, number>;
}

export interface MemoryGrowth {
  process: string;
  earlyMiB: number;
  lateMiB: number;
  ratio: number;
}

/** The mean memory of each process in both parts of a soak. */
export function memoryGrowth(samples: MemorySample[], minutes: number): MemoryGrowth[] {
  const { early, late } = soakWindows(minutes);
  const names = [...new Set(samples.flatMap(({ memoryMiB }) => Object.keys(memoryMiB)))];
  return names.map((process) => {
    const [earlyMiB, lateMiB] = [early, late].map(([from, to]) =>
      mean(
        samples
          .filter(({ atMinutes }) => atMinutes >= from && atMinutes <= to)
          .flatMap(({ memoryMiB }) => memoryMiB[process] ?? []),
      ),
    ) as [number, number];
    return { process, earlyMiB, lateMiB, ratio: lateMiB / earlyMiB };
  });
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
