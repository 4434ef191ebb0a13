import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { addWords } from "#/i18n";
import words from "#/i18n/en/audit.json";
import { Contradiction } from "./contradiction";

addWords(words);

it("names the entry, and the command that accepts the older database", () => {
  const signed = { seq: 41, hash: "ab12", at: "2026-01-01T00:00:00.000000Z", key_id: "k", signature: "s" };
  render(<Contradiction signed={signed} />);
  expect(screen.getByRole("alert").textContent).toContain("entry 41");
  expect(screen.getByText("cb audit-log accept-restore")).toBeTruthy();
});
