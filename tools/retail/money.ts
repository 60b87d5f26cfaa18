/**
 * The minor units of a decimal number such as "2.1" (210), exactly. Undefined where it is no number or too large; null
 * where it is finer than a minor unit.
 */
export function minorUnits(text: string): number | null | undefined {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (!match) return undefined;
  const [, sign, whole, fraction = ""] = match;
  if (/[1-9]/.test(fraction.slice(2))) return null;
  const minor = Number(`${whole}${fraction.slice(0, 2).padEnd(2, "0")}`);
  if (!Number.isSafeInteger(minor)) return undefined;
  return sign && minor !== 0 ? -minor : minor;
}

/** A sum as "466057.95". */
export function decimal(minor: number): string {
  const digits = String(Math.abs(minor)).padStart(3, "0");
  return `${minor < 0 ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
