import { readFileSync } from "node:fs";

const common = new URL("../common.graphql", import.meta.url);

/** What every service offers staff: incidents, parked events and republication of its own. */
function operations(service: string, republishes: boolean): string {
  return `
extend type Query {
  "Things in ${service} that need a person, oldest first."
  ${service}Incidents(
    "Most per page, 1 to 100."
    first: Int! = 50
    "The endCursor of the page before."
    after: String
    "Resolved ones too."
    resolvedToo: Boolean! = false
  ): IncidentConnection @access(roles: [STAFF, ADMIN])
  "Events that ${service} could not handle, and those behind them, oldest first."
  ${service}Parked(
    "Most per page, 1 to 100."
    first: Int! = 50
    "The endCursor of the page before."
    after: String
    "Only the events of this key."
    key: String
  ): ParkedEventConnection @access(roles: [STAFF, ADMIN])
  "A parked event of ${service} with its payload, which may hold personal data; null where it is not parked."
  ${service}ParkedEvent(
    "The event's id."
    id: ID!
  ): ParkedEventDetails @access(roles: [STAFF, ADMIN])
  "Faults on purpose that are set in the replica of ${service} that answers; only where they are allowed."
  ${service}Faults: [Fault!] @access(roles: [ADMIN])
}

extend type Mutation {
  "Marks an incident of ${service} as resolved and says how."
  ${service}ResolveIncident(
    "The incident's id."
    id: ID!
    "What was done about it."
    resolution: String!
  ): Incident @access(roles: [STAFF, ADMIN])
  "Handles parked events of ${service} again, in order, until one fails."
  ${service}ReplayParked(
    "Only the events of this key; all where it is not given."
    key: String
  ): ReplayedEvents @access(roles: [STAFF, ADMIN])
  "Removes parked events of ${service} for good, without handling them; the incident of their key keeps who did it and why."
  ${service}DiscardParked(
    "One event, by its id."
    id: ID
    "All parked events of a key, in place of one."
    key: String
    "Why nothing is lost by it."
    reason: String!
  ): DiscardedEvents @access(roles: [STAFF, ADMIN])
  """
  Lets the replica of ${service} that answers read events again from the earliest that is kept, and pass over those that it has
  handled: after events were lost to retention, once what they told was published again. No other replica may read meanwhile.
  """
  ${service}ReadAgain: ReadingAgain @access(roles: [ADMIN])
  "Sets faults on purpose in the replica of ${service} that answers, in place of those before; only where they are allowed."
  ${service}SetFaults(
    "All that are to be set; none clears them."
    faults: [FaultInput!]!
  ): [Fault!] @access(roles: [ADMIN])
${
  republishes
    ? `  "Publishes the current state of ${service} again, to fill the read models of others."
  ${service}Republish: Republished @access(roles: [STAFF, ADMIN])
`
    : ""
}}
`;
}

/** A service's whole subgraph: the common types, its own schema.graphql, and the operations of every service. */
export function subgraphSdl(service: string, schema: string): string {
  // Declared in the schema itself, so that composition and the running service cannot differ.
  const republishes = /^# republishes$/m.test(schema);
  return `${readFileSync(common, "utf8")}\n${schema}\n${operations(service, republishes)}`;
}
