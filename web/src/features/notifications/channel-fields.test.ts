import { describe, expect, it } from "vitest";
import type { Channel, ChannelKindDescription } from "#/api/schema";
import { formFields, toBody, toForm } from "./channel-fields";

const text = (title: string) => ({ type: "string", title, maxLength: 256 });
const ntfy = {
  kind: "ntfy",
  title: "ntfy",
  pin: "certificate",
  public: {
    properties: { server: text("Server"), topic: text("Topic"), user: text("Username") },
    required: ["server", "topic"],
    "x-order": ["server", "topic", "user"],
  },
  secret: { properties: { token: text("Access token") }, required: [], "x-order": ["token"] },
} as unknown as ChannelKindDescription;
const channel = {
  name: "Phone",
  kind: "ntfy",
  public: { server: "https://ntfy.lan", topic: "attic" },
  has_secret: true,
  events: [],
  min_severity: "warning",
  certificate_sha256: null,
} as unknown as Channel;

describe("a channel's form", () => {
  it("gives back what it was given, and no secret", () => {
    expect(toBody(ntfy, toForm(ntfy, channel), false)).toEqual({
      name: "Phone",
      public: channel.public,
      events: [],
      min_severity: "warning",
      certificate_sha256: null,
    });
  });
  it("sends a secret as it was typed, and an empty one to take it away", () => {
    const form = toForm(ntfy, channel);
    expect(toBody(ntfy, { ...form, secret: { token: " tk " } }, true).secret).toEqual({ token: " tk " });
    expect(toBody(ntfy, form, true).secret).toEqual({});
  });
  it("says nothing of a certificate where none can be pinned", () => {
    expect("certificate_sha256" in toBody({ ...ntfy, pin: null }, toForm(ntfy), true)).toBe(false);
  });
  it("has a place for each reason of the server", () => {
    expect(formFields(ntfy)).toEqual([
      "public.server",
      "public.topic",
      "public.user",
      "secret.token",
      "name",
      "events",
      "min_severity",
      "certificate_sha256",
      "secret",
    ]);
  });
});
