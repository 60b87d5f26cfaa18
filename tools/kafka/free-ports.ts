import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below those that the kernel gives to outgoing connections, which may take one at any moment. */
const [lowest, highest] = [10_000, 20_000];
const attempts = 100;

/** So many different ports of the loopback that are free now, and stay so unless somebody asks for the very same. */
export async function freePorts(count: number): Promise<number[]> {
  const free = new Set<number>();
  for (let attempt = 0; free.size < count && attempt < attempts * count; attempt++) {
    const port = randomInt(lowest, highest);
    if (!free.has(port) && (await isFree(port))) free.add(port);
  }
  if (free.size < count) throw new Error(`no ${count} ports between ${lowest} and ${highest} are free`);
  return [...free];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
  } catch {
    return false;
  }
  await once(server.close(), "close");
  return true;
}
