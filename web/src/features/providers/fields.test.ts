import { describe, expect, it } from "vitest";
import type { OidcProvider } from "#/api/schema";
import { slugOf, toBody, toForm } from "./fields";

const provider: OidcProvider = {
  id: "1",
  slug: "authentik",
  name: "Authentik",
  issuer: "https://auth.example.org/",
  client_id: "cb",
  has_client_secret: true,
  credential_id: null,
  scopes: ["openid", "groups"],
  groups_claim: "groups",
  role_groups: [{ group: "admins", role: "admin" }],
  default_role: null,
  create_users: true,
  enabled: true,
  certificate_sha256: null,
  redirect_uri: "https://cb.example.org/callback",
  version: 1,
  created_at: "",
  updated_at: "",
};

describe("a provider's form", () => {
  it("gives back what it was given, and no secret", () => {
    const { id, has_client_secret, redirect_uri, version, created_at, updated_at, ...written } = provider;
    expect(toBody(toForm(provider))).toEqual(written);
    expect("client_secret" in toBody(toForm(provider))).toBe(false);
  });
  it("takes scopes with spaces or commas, trims, and leaves empty rows out", () => {
    const body = toBody({
      ...toForm(),
      name: " Authentik ",
      client_secret: " spaces may belong to it ",
      scopes: " openid,  email\nprofile ",
      role_groups: [
        { group: " family ", role: "viewer" },
        { group: "  ", role: "admin" },
      ],
      certificate_sha256: " ",
    });
    expect(body).toMatchObject({
      name: "Authentik",
      client_secret: " spaces may belong to it ",
      scopes: ["openid", "email", "profile"],
      role_groups: [{ group: "family", role: "viewer" }],
      default_role: null,
      certificate_sha256: null,
    });
  });
  it("has a credential or an id and a secret of its own, not both", () => {
    const named = toBody({ ...toForm(provider), credential_id: "7", client_secret: "typed before" });
    expect(named.credential_id).toBe("7");
    expect("client_id" in named || "client_secret" in named).toBe(false);
  });
  it("proposes a slug", () => {
    expect(slugOf("My Authentik!")).toBe("my-authentik");
    expect(slugOf("  Zitadel é Co. ")).toBe("zitadel-e-co");
    expect(slugOf("日本")).toBe("");
    expect(slugOf(`${"a".repeat(31)} bcd`)).toBe("a".repeat(31));
  });
});
