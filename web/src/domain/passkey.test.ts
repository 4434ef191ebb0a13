import { afterEach, describe, expect, it, vi } from "vitest";
import { passkeysWork, refusalOf, showPasskey } from "./passkey";

class FakeCredential {
  static parseRequestOptionsFromJSON = (options: unknown) => ({ parsed: options });
  toJSON() {
    return { id: "k" };
  }
}
const challenge = { passkey_token: "t", options: { publicKey: { challenge: "c" } } };
const browser = (answer: unknown) => {
  const get = vi.fn(async (_: unknown) => answer);
  vi.stubGlobal("PublicKeyCredential", FakeCredential);
  vi.stubGlobal("navigator", { credentials: { get } });
  return get;
};
afterEach(() => vi.unstubAllGlobals());

describe("passkeys", () => {
  it("are not offered by a browser without the JSON forms", () => {
    vi.stubGlobal("PublicKeyCredential", undefined);
    expect(passkeysWork()).toBe(false);
    vi.stubGlobal("PublicKeyCredential", class {});
    expect(passkeysWork()).toBe(false);
    browser(null);
    expect(passkeysWork()).toBe(true);
  });
  it("go to the server with the token that the challenge came with", async () => {
    const get = browser(new FakeCredential());
    expect(await showPasskey(challenge)).toEqual({ passkey_token: "t", credential: { id: "k" } });
    expect(get).toHaveBeenCalledWith({ publicKey: { parsed: { challenge: "c" } } });
  });
  it("that are not shown are a refusal in words, and nothing else is one", async () => {
    browser(null);
    const refused = await showPasskey(challenge).catch((error: unknown) => error);
    expect(refusalOf(refused)).toBe("passkey.cancelled");
    expect(refusalOf(new DOMException("", "InvalidStateError"))).toBe("passkey.exists");
    const untrusted = "WebAuthn is not supported on sites with TLS certificate errors.";
    expect(refusalOf(new DOMException(untrusted, "NotAllowedError"))).toBe("passkey.untrusted");
    expect(refusalOf(new DOMException("", "DataError"))).toBeUndefined();
    expect(refusalOf(new Error("no network"))).toBeUndefined();
  });
});
