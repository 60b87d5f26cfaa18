/** A path that the provider serves. */
export interface ServedPath {
  /** A trailing `*` stands for the rest of the path. */
  path: string;
  methods: ("GET" | "OPTIONS" | "POST")[];
}

/** What shops call, with the API key. */
export const shopPaths: ServedPath[] = [
  { path: "/v1/authorizations", methods: ["POST"] },
  { path: "/v1/authorizations/*", methods: ["POST"] },
  { path: "/v1/operations/*", methods: ["GET"] },
];

/** What shoppers' browsers call: a card is kept for a token, and the card's bank asks whether it is they. */
export const shopperPaths: ServedPath[] = [
  { path: "/v1/tokens", methods: ["OPTIONS", "POST"] },
  { path: "/actions/*", methods: ["GET", "POST"] },
];
