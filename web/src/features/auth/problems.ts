const problems = [
  "denied",
  "expired",
  "unknown_user",
  "name_taken",
  "no_role",
  "disabled",
  "provider_failed",
  "linked_elsewhere",
  "too_many",
  "unavailable",
  "other",
] as const;
export type SignInProblem = (typeof problems)[number];

/** The code in the address of /login; one that we do not know is a problem all the same. */
export function problemIn(value: unknown): SignInProblem | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  return problems.find((one) => one === value) ?? "other";
}

/** Where a provider's sign-in begins: a page of the server, not of ours. */
export function startHref(slug: string, next: string | undefined): string {
  return `/api/v1/auth/oidc/${encodeURIComponent(slug)}/start${next ? `?next=${encodeURIComponent(next)}` : ""}`;
}
