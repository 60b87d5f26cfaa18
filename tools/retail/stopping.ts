/** A signal that Ctrl-C aborts; a second Ctrl-C ends the program at once. */
export function stopOnInterrupt(): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  process.once("SIGTERM", () => controller.abort());
  return controller.signal;
}
