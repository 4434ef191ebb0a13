import { describe, expect, it } from "vitest";
import { stepIn } from "./fragment";

describe("the second step in the fragment", () => {
  it("is read with its methods, in the order in which they are offered", () => {
    expect(stepIn("mfa_token=a%2Bb&methods=recovery_code,passkey,totp")).toEqual({
      token: "a+b",
      methods: ["totp", "passkey", "recovery_code"],
    });
    expect(stepIn("methods=passkey&mfa_token=x")).toEqual({ token: "x", methods: ["passkey"] });
  });
  it("asks for a code when no method is named that we know", () => {
    expect(stepIn("mfa_token=x")?.methods).toEqual(["totp", "recovery_code"]);
    expect(stepIn("mfa_token=x&methods=iris")?.methods).toEqual(["totp", "recovery_code"]);
  });
  it.each(["", "token=x", "mfa_token=", "mfa_token=%20", "methods=totp", "content"])(
    "is not there in %j",
    (hash) => {
      expect(stepIn(hash)).toBeNull();
    },
  );
});
