import { render, screen } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { addWords } from "#/i18n";
import first from "#/i18n/en/first.json";
import { CsvLink } from "./csv-link";

addWords(first);
let since: number | null = null;
vi.mock("#/api/hooks", () => ({ useAwaySince: () => since }));

it("leads to the file, and nowhere while the server is away", () => {
  const link = () => (
    <CsvLink href="/api/v1/assets/export" label="Download these rows as CSV">
      CSV
    </CsvLink>
  );
  const { rerender } = render(link());
  const shown = () => screen.getByRole("link", { name: "Download these rows as CSV" });
  expect(shown().getAttribute("href")).toBe("/api/v1/assets/export");
  since = 1;
  rerender(link());
  expect(shown().hasAttribute("href")).toBe(false);
  expect(shown().getAttribute("aria-disabled")).toBe("true");
  expect(shown().title).toBe("The server does not answer, so you cannot download anything at the moment.");
});
