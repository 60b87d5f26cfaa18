import Type from "typebox";

/** Variables that every process has. */
export const processVariables = {
  HOST: Type.String({ default: "127.0.0.1", description: "the address to listen on" }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, description: "the port to serve on", examples: [4004] }),
  METRICS_PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    description: "the port of /livez, /readyz and /metrics",
    examples: [4104],
  }),
  LOG_LEVEL: Type.Union([Type.Literal("debug"), Type.Literal("info"), Type.Literal("warn"), Type.Literal("error")], {
    default: "info",
    description: "the least level to log: debug, info, warn or error",
  }),
  SHUTDOWN_WAIT_MS: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 60_000,
    description:
      "how long a process that stops is not ready and yet takes requests, in ms: until those who distribute requests " +
      "send it no more and callers have closed their idle connections, the gateway after 1 s; 0 where nobody does",
  }),
  SHUTDOWN_GRACE_MS: Type.Integer({
    default: 30_000,
    minimum: 0,
    description: "how long requests may take to end at shutdown, in ms",
  }),
  FAULT_INJECTION: Type.Boolean({
    default: false,
    description: "true where faults may be caused on purpose; refused with NODE_ENV=production",
  }),
  FAULTS: Type.String({
    default: "",
    description: "faults to cause from the start on, as docs/faults.md has them; needs FAULT_INJECTION",
    examples: ["consumer.in-handler:kill:rate=0.01,seed=7;graphql.request:delay:delayMs=500"],
  }),
  NODE_ENV: Type.String({ default: "", description: "production where the process runs for real customers" }),
};

/** Variables of every process that reads or writes events. */
export const eventLogVariables = {
  KAFKA_BROKERS: Type.Optional(
    Type.String({
      pattern: "^[^,:]+:[0-9]+(,[^,:]+:[0-9]+)*$",
      description:
        "some brokers of the Kafka with the events, separated by commas; without it they are in the database",
      examples: ["kafka-0:9092,kafka-1:9092"],
    }),
  ),
  KAFKA_PREFIX: Type.String({
    default: "crowdcrunch",
    pattern: "^[a-zA-Z0-9._-]{1,100}$",
    description:
      "what names of topics and groups begin with, before a dot: letters, digits, dots, dashes and underscores",
    examples: ["crowdcrunch"],
  }),
  KAFKA_CREATE_TOPICS: Type.Boolean({
    default: true,
    description: "false where topics are made by others, and a service only checks its own",
  }),
  KAFKA_TLS: Type.Boolean({ default: false, description: "true where the brokers speak TLS" }),
  KAFKA_TLS_CA_FILE: Type.Optional(
    Type.String({
      description: "the authorities that sign the brokers' certificates, PEM; switches TLS on",
      examples: ["/etc/kafka/ca.pem"],
    }),
  ),
  KAFKA_SASL_MECHANISM: Type.Optional(
    Type.Union([Type.Literal("plain"), Type.Literal("scram-sha-256"), Type.Literal("scram-sha-512")], {
      description: "how to sign in to Kafka: plain, scram-sha-256 or scram-sha-512",
    }),
  ),
  KAFKA_SASL_USERNAME: Type.Optional(Type.String({ description: "the user to sign in to Kafka as" })),
  KAFKA_SASL_PASSWORD: Type.Optional(Type.String({ description: "that user's password" })),
};

/** Variables that every service has beside its own. */
export const serviceVariables = {
  ...processVariables,
  ...eventLogVariables,
  DATABASE_URL: Type.String({
    pattern: "^postgres(ql)?://",
    description: "the database, as the service's running role",
    examples: ["postgres://orders:secret@127.0.0.1:4050/crowdcrunch"],
  }),
  OWNER_DATABASE_URL: Type.String({
    pattern: "^postgres(ql)?://",
    description: "the database, as the role that owns the schema and migrates it",
    examples: ["postgres://orders_owner:secret@127.0.0.1:4050/crowdcrunch"],
  }),
  DATABASE_CONNECTIONS: Type.Integer({
    default: 6,
    minimum: 2,
    maximum: 100,
    description: "most connections of the service's pool",
  }),
  EVENT_RETENTION_DAYS: Type.Integer({
    default: 7,
    minimum: 1,
    maximum: 3650,
    description: "how long the service's topic keeps its events, in days; the same for all services of a shop",
  }),
  DATABASE_QUEUE_MS: Type.Integer({
    default: 2_000,
    minimum: 50,
    description: "how long a caller waits for a connection before it is told to come back, in ms",
  }),
  JWKS_FILE: Type.String({
    description: "the file with the public keys that sign access tokens",
    examples: ["var/secrets/jwks.json"],
  }),
};
