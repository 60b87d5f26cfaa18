/** A reference to what another service describes. */
export interface WithId {
  id: string;
}
