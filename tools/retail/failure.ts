/** One invoice or cancellation failed, in words; the others go on. */
export class Failure extends Error {
  override name = "Failure";
}
