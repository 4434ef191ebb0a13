/** What a role or a token may do, in words. */
import type { Permission } from "#/api/schema";
import type { Key } from "#/i18n";

/** Complete: a permission that the server gets does not compile here until it has its words. */
const words: Record<Permission, Key> = {
  "inventory:read": "scope.inventory.read",
  "inventory:write": "scope.inventory.write",
  "discovery:read": "scope.discovery.read",
  "discovery:write": "scope.discovery.write",
  "audit:read": "scope.audit.read",
  "settings:read": "scope.settings.read",
  "settings:write": "scope.settings.write",
  "users:read": "scope.users.read",
  "users:write": "scope.users.write",
  "vault:read": "scope.vault.read",
  "vault:write": "scope.vault.write",
  "credentials:read": "scope.credentials.read",
  "credentials:write": "scope.credentials.write",
  "notifications:read": "scope.notifications.read",
  "notifications:write": "scope.notifications.write",
  "metrics:read": "scope.metrics.read",
};

export const permissions = Object.keys(words) as Permission[];

/** The key of a permission's words. A server that is newer than this page may name others, which this page does not offer. */
export function scopeKey(scope: string): Key | undefined {
  return words[scope as Permission];
}
