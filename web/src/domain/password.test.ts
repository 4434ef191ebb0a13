import { describe, expect, it } from "vitest";
import { meterSteps, passwordAdvice } from "./password";

describe("password advice", () => {
  it.each([
    ["", "empty"],
    ["short", "too_short"],
    ["aaaaaaaaaaaa", "guessable"],
    ["12345678", "guessable"],
    ["hgfedcba", "guessable"],
    ["Password123!", "guessable"],
    ["my-name-is-maria", "guessable"],
    ["k7 blue door", "acceptable"],
    ["correct horse battery staple", "good"],
    ["日本語の長いパスワードですよね本当に", "good"],
  ])("%s: %s", (password, advice) => {
    expect(passwordAdvice(password, "maria")).toBe(advice);
  });
  it("asks for no special characters: length alone fills the meter", () => {
    expect(meterSteps(passwordAdvice("plain words only here", "x"), 21)).toBe(4);
    expect(meterSteps("too_short", 3)).toBe(1);
  });
});
