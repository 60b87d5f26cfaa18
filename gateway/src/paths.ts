import type { ServiceName } from "@crowdcrunch/shop/parts";

/** A path that the gateway passes on besides /graphql. */
export interface PassThrough {
  /** As the router writes it: a trailing `*` stands for the rest of the path. */
  path: string;
  methods: ("GET" | "HEAD" | "POST")[];
  service: ServiceName;
  /** True where asking again changes nothing, so that a request without an answer may be sent again. */
  repeatable: boolean;
}

/** Everything that is passed on, and nothing else is; callers.yaml is generated from the same list. */
export const passThrough: PassThrough[] = [
  { path: "/hooks/payments", methods: ["POST"], service: "payments", repeatable: false },
  // A link counts how often it was used.
  { path: "/downloads/*", methods: ["GET", "HEAD"], service: "fulfillment", repeatable: false },
  { path: "/media/*", methods: ["GET", "HEAD"], service: "inventory", repeatable: true },
  { path: "/*", methods: ["GET", "HEAD"], service: "frontend", repeatable: true },
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
