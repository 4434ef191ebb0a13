import { describe, expect, it } from "vitest";
import type { Credential, CredentialKindDescription } from "#/api/schema";
import { fieldsOf, isAsked } from "#/domain/kind-fields";
import { destinationOf, hostsOf, portAt, singleHosts, toBody, toForm } from "./fields";

const text = (title: string) => ({ type: "string", title, maxLength: 256 });
const v3 = {
  kind: "snmp_v3",
  title: "SNMP v3",
  public: {
    properties: { auth: { ...text("Authentication"), enum: ["none", "md5"] }, user: text("Username") },
    required: ["user"],
    "x-order": ["user", "auth"],
  },
  secret: { properties: { auth_password: text("Password") }, required: [], "x-order": ["auth_password"] },
  pin: null,
  default_port: 161,
  testable: true,
  takes_path: false,
} as unknown as CredentialKindDescription;

const credential: Credential = {
  id: "1",
  name: "Switches",
  kind: "snmp_v3",
  public: { user: "monitor", auth: "md5" },
  has_secret: true,
  hosts: ["10.0.0.0/24", "nas.lan"],
  certificate_sha256: null,
  host_key_sha256: null,
  used_by: [],
  secret_changed_at: "",
  last_used_at: null,
  version: 1,
  created_at: "",
  updated_at: "",
};

describe("a credential's form", () => {
  it("has the fields of its kind, in the kind's order", () => {
    expect(fieldsOf(v3.public).map(({ name, required }) => [name, required])).toEqual([
      ["user", true],
      ["auth", false],
    ]);
    expect(toForm(v3).public).toEqual({ user: "", auth: "none" });
  });
  it("gives back what it was given, and no secret", () => {
    const { name, public: shown, hosts } = credential;
    expect(toBody(v3, toForm(v3, credential), false)).toEqual({ name, public: shown, hosts });
  });
  it("sends a secret only with what asks for it, as it was typed", () => {
    const form = { ...toForm(v3, credential), secret: { auth_password: " two spaces " } };
    expect(toBody(v3, form, true).secret).toEqual({ auth_password: " two spaces " });
    const off = { ...form, public: { user: "monitor", auth: "none" } };
    expect(fieldsOf(v3.secret).map((field) => isAsked(field, off.public))).toEqual([false]);
    expect(toBody(v3, off, true).secret).toEqual({});
  });
  it("takes hosts by line, space or comma", () => {
    expect(hostsOf(" 10.0.0.5\nnas.lan, fd00::/8 ")).toEqual(["10.0.0.5", "nas.lan", "fd00::/8"]);
  });
  it("proposes a host and a port to test", () => {
    expect(singleHosts(credential)[0]).toBe("nas.lan");
    expect(portAt(v3, credential, "nas.lan")).toBe("161");
    expect(portAt(v3, { ...credential, public: { transport: "http" } }, "nas.lan")).toBe("80");
  });

  it("reads a host with its port", () => {
    expect(destinationOf("nas.lan")).toEqual({ host: "nas.lan", port: "" });
    expect(destinationOf("nas.lan:8443")).toEqual({ host: "nas.lan", port: "8443" });
    expect(destinationOf("10.0.0.0/24:8000-8010")).toEqual({ host: "10.0.0.0/24", port: "8000" });
    expect(destinationOf("fd00::5")).toEqual({ host: "fd00::5", port: "" });
    expect(destinationOf("[fd00::5]:443")).toEqual({ host: "fd00::5", port: "443" });
    const typed = { ...credential, hosts: ["10.0.0.0/24:22", "box.lan:8443", "nas.lan"] };
    expect(singleHosts(typed)).toEqual(["box.lan", "nas.lan"]);
    expect(portAt(v3, typed, "box.lan")).toBe("8443");
    expect(portAt(v3, typed, "nas.lan")).toBe("161");
  });
});
