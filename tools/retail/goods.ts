/** True for the code of an article; others (POST, D, M, BANK CHARGES, …) are postage, discounts, fees and the like. */
export function isGoods(code: string): boolean {
  return /^\d{5}/.test(code);
}

/** True for an invoice that takes back what others sold. */
export function isCancellation(invoice: string): boolean {
  return invoice.startsWith("C");
}
