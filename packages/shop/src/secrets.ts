import { randomBytes } from "node:crypto";

/**
 * The secrets of a shop beside its roles' passwords, each with the key under which a Kubernetes Secret has it: the one
 * list for a laptop and for a cluster.
 */
export const secretKeys = {
  /** What payments shows to the provider. */
  providerApiKey: "provider-api-key",
  /** What the provider signs its callbacks with. */
  webhookSecret: "provider-webhook-secret",
  /** What the links to an order are signed with. */
  orderLinkSecret: "order-link-secret",
  /** What the refresh cookies of guests are signed with. */
  guestCookieSecret: "guest-cookie-secret",
  /** What the links to digital goods are signed with. */
  downloadSecret: "download-secret",
} as const;

export type SecretName = keyof typeof secretKeys;
export const secretNames = Object.keys(secretKeys) as SecretName[];

/** The key under which a Kubernetes Secret has a role's password, e.g. "orders-owner-password" of orders_owner. */
export function passwordKey(role: string): string {
  return `${role.replaceAll("_", "-")}-password`;
}

/** Makes a secret of 192 random bits. It may stand in a URL as it is. */
export function newSecret(): string {
  return randomBytes(24).toString("base64url");
}
