import { describe, expect, it } from "vitest";
import words from "#/i18n/en/first.json";
import { problemIn, startHref } from "./problems";

const codes = [
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
];

describe("a problem of signing in by a provider", () => {
  it.each(codes)("%s has words of its own", (code) => {
    expect(problemIn(code)).toBe(code);
    expect(Object.keys(words.problem)).toContain(code);
  });
  it("that nobody knows is told all the same, and none is none", () => {
    expect(problemIn("<b>you have won</b>")).toBe("other");
    expect(problemIn("toString")).toBe("other");
    for (const none of [undefined, "", 7, ["denied"]]) expect(problemIn(none)).toBeUndefined();
  });
});

describe("where a provider's sign-in begins", () => {
  it("keeps the place, and lets no slug leave its segment", () => {
    expect(startHref("authentik", undefined)).toBe("/api/v1/auth/oidc/authentik/start");
    expect(startHref("a/../b", "/inventory?q=a&b=c#x")).toBe(
      "/api/v1/auth/oidc/a%2F..%2Fb/start?next=%2Finventory%3Fq%3Da%26b%3Dc%23x",
    );
  });
});
