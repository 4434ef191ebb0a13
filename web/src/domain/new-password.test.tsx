import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { NewPasswordField } from "./new-password";

it("advises on a password, and leaves that to the error where there is one", () => {
  const field = (error?: string) => (
    <NewPasswordField label="Password" typed="short" username="maria" error={error} />
  );
  const { rerender } = render(field());
  expect(screen.getAllByText(/at least 8 characters/)).toHaveLength(1);
  rerender(field("Use at least 8 characters."));
  expect(screen.getAllByText(/at least 8 characters/)).toHaveLength(1);
  expect(screen.getByText("Use at least 8 characters.")).toBeTruthy();
});
