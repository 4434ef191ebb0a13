import type { Role } from "#/api/schema";

/** From the least to the most. */
export const roles: readonly Role[] = ["viewer", "editor", "admin"];
