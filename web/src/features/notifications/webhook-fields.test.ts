import { describe, expect, it } from "vitest";
import type { Webhook } from "#/api/schema";
import { isElsewhere, toBody, toForm } from "./webhook-fields";

const webhook = {
  name: "Chat",
  url: "https://chat.lan:8443/in",
  events: ["scan.finished"],
  certificate_sha256: null,
} as Webhook;

describe("a webhook's form", () => {
  it("begins with everything", () => {
    expect(toForm().everything).toBe(true);
    expect(toBody({ ...toForm(), name: " Chat ", url: " https://chat.lan " })).toEqual({
      name: "Chat",
      url: "https://chat.lan",
      events: [],
      certificate_sha256: null,
    });
  });
  it("gives back what it was given", () => {
    expect(toBody(toForm(webhook))).toEqual({
      name: "Chat",
      url: "https://chat.lan:8443/in",
      events: ["scan.finished"],
      certificate_sha256: null,
    });
  });
  it("sends no kind when everything is wanted, whatever was chosen before", () => {
    expect(toBody({ ...toForm(webhook), everything: true }).events).toEqual([]);
  });
  it("knows another receiver by its scheme, host and port, and says nothing of what is not an address yet", () => {
    const { url } = webhook;
    expect([url, `${url}/more`, "", "https://"].map((typed) => isElsewhere(typed, webhook))).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(
      ["http://chat.lan:8443/in", "https://chat.lan/in", "https://other.lan:8443/in"].map((typed) =>
        isElsewhere(typed, webhook),
      ),
    ).toEqual([true, true, true]);
  });
});
