import type { ServiceName } from "./config.ts";

/** A path that the gateway passes on besides /graphql. */
export interface PassThrough {
  /** As the router writes it: a trailing `*` stands for the rest of the path. */
  path: string;
  methods: ("GET" | "HEAD" | "POST")[];
  service: ServiceName;
}

/** Everything that is passed on, and nothing else is; ingress and network policies are generated from the same list. */
export const passThrough: PassThrough[] = [
  { path: "/hooks/payments", methods: ["POST"], service: "payments" },
  { path: "/downloads/*", methods: ["GET", "HEAD"], service: "fulfillment" },
  { path: "/media/*", methods: ["GET", "HEAD"], service: "inventory" },
  { path: "/*", methods: ["GET", "HEAD"], service: "frontend" },
];

/**
 * True where the path means the same to everybody who reads it. A path with dot segments, doubled or encoded slashes
 * could be routed here as one thing and read behind the gateway as another, such as a service's own /graphql.
 */
export function isPlainPath(path: string): boolean {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return false;
  }
  // A service's /graphql is reached through the graph alone.
  if (/^\/graphql(\/|$)/i.test(decoded)) return false;
  if (/\/\/|%2f/i.test(path) || /[\\%]/.test(decoded) || decoded.includes("\0")) return false;
  return decoded.startsWith("/") && !decoded.split("/").some((segment) => segment === "." || segment === "..");
}
