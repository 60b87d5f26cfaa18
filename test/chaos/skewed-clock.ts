/**
 * Loaded before a process whose clock is to be wrong: `NODE_OPTIONS=--import <this file>`, by CLOCK_SKEW_MS. What it
 * takes for the time is shifted, how long something takes is not, as on a machine that was set to a wrong time.
 */
const skewMs = Number(process.env.CLOCK_SKEW_MS ?? 0);
const now = () => RealDate.now() + skewMs;
const RealDate = Date;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given: [], made) => Reflect.construct(target, given.length > 0 ? given : [now()], made) as Date,
  apply: () => new RealDate(now()).toString(),
  get: (target, key) => (key === "now" ? now : (Reflect.get(target, key) as unknown)),
});
