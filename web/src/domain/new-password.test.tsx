import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { NewPasswordField } from "./new-password";

addWords(frame);

describe("a new password", () => {
  it("is called too short once", () => {
    const field = (error?: string) => (
      <NewPasswordField label="Password" name="p" typed="short" username="admin" error={error} />
    );
    const { rerender } = render(field());
    expect(screen.getByText("Too short. Use at least 8 characters.")).toBeTruthy();
    rerender(field("Use at least 8 characters."));
    expect(screen.getAllByText(/at least 8 characters/)).toHaveLength(1);
  });
});
