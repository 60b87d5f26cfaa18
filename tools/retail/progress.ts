/** A line that tells how far a long run is: "orders 312 of 906 · 21/s · 28 s left". */
export interface Progress {
  /** One more is done. */
  tick(count?: number): void;
  /** Ends the line. */
  end(): void;
}

const everyMs = { terminal: 250, other: 5_000 };

/** On a terminal one line that changes; elsewhere a line every five seconds. `done` were done by an earlier run. */
export function startProgress(
  what: string,
  total: number,
  done = 0,
  out: NodeJS.WriteStream = process.stdout,
): Progress {
  const startedMs = performance.now();
  const already = done;
  let count = done;
  let printedMs = 0;
  let printed = "";
  function print(): void {
    const line = progressLine(what, {
      count,
      total,
      sinceStart: count - already,
      elapsedMs: performance.now() - startedMs,
    });
    if (line === printed) return;
    printed = line;
    printedMs = performance.now();
    out.write(out.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  }
  print();
  return {
    tick(more = 1) {
      count += more;
      if (performance.now() - printedMs >= (out.isTTY ? everyMs.terminal : everyMs.other)) print();
    },
    end() {
      print();
      if (out.isTTY) out.write("\n");
    },
  };
}

/** The line's text. */
export function progressLine(
  what: string,
  { count, total, sinceStart, elapsedMs }: { count: number; total: number; sinceStart: number; elapsedMs: number },
): string {
  const perSecond = sinceStart / (elapsedMs / 1000);
  const head = `${what} ${count} of ${total}`;
  if (sinceStart === 0 || elapsedMs < 1) return head;
  const rate = `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)}/s`;
  if (count >= total) return `${head} · ${rate} · ${duration(elapsedMs / 1000)}`;
  return `${head} · ${rate} · ${duration((total - count) / perSecond)} left`;
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
