import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { Dialog } from "./dialog";

addWords(frame);

it("gives the focus to what one came for, not to the way out", () => {
  render(
    <Dialog title="Tags" open onClose={() => {}}>
      <label>
        New tag <input />
      </label>
      <button type="button">Add</button>
    </Dialog>,
  );
  expect(document.activeElement).toBe(screen.getByLabelText("New tag"));
});

it("leaves the focus to a field that has taken it", () => {
  render(
    <Dialog title="Tags" open onClose={() => {}}>
      <button type="button">First</button>
      <input aria-label="Wanted" autoFocus />
    </Dialog>,
  );
  expect(document.activeElement).toBe(screen.getByLabelText("Wanted"));
});
