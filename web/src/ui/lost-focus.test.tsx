import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { DataTable } from "./data-table";
import { keepFocus } from "./lost-focus";

addWords(frame);

let stop: () => void;
beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
  stop = keepFocus();
});
afterEach(() => {
  stop();
  vi.restoreAllMocks();
});

const button = (name: string) => screen.getByRole("button", { name });
const held = () => document.activeElement as HTMLElement;

interface Row {
  id: string;
}

/** A list, what is done to its selected rows, and a message about it. */
function Review() {
  const [rows, setRows] = useState<Row[]>(["a", "b", "c", "d"].map((id) => ({ id })));
  const [selection, setSelection] = useState<ReadonlySet<string>>(new Set());
  const [told, setTold] = useState(false);
  return (
    <>
      <main tabIndex={-1}>
        {selection.size > 0 ? (
          <div role="toolbar">
            <button
              type="button"
              onClick={() => {
                setRows(rows.filter((row) => !selection.has(row.id)));
                setSelection(new Set());
                setTold(true);
              }}
            >
              Accept
            </button>
            <button type="button" onClick={() => setSelection(new Set())}>
              Clear
            </button>
          </div>
        ) : null}
        <DataTable
          label="Findings"
          columns={[{ id: "id", header: "Name", cell: (row) => row.id }]}
          rows={rows}
          rowId={(row) => row.id}
          rowLabel={(row) => row.id}
          onOpen={() => {}}
          selection={selection}
          onSelection={setSelection}
          empty="None left"
        />
      </main>
      {told ? (
        <aside>
          <button
            type="button"
            onClick={() => {
              setRows(["a", "b", "c", "d"].map((id) => ({ id })));
              setTold(false);
            }}
          >
            Undo
          </button>
        </aside>
      ) : null}
    </>
  );
}

/** As a person does: what is clicked takes the focus first. */
function press(name: string): void {
  button(name).focus();
  fireEvent.click(button(name));
}

it("gives the focus to the row that takes the place when the selected rows and their buttons go, and back after the undo", async () => {
  render(<Review />);
  button("a").focus();
  fireEvent.keyDown(held(), { key: "x" });
  fireEvent.keyDown(held(), { key: "j" });
  fireEvent.keyDown(held(), { key: "x" });
  press("Accept");
  expect(held()).toBe(button("c"));
  press("Undo");
  await waitFor(() => expect(held()).toBe(button("c")));
});

it("gives the focus to the last row in hand when the selection is cleared", () => {
  render(<Review />);
  button("c").focus();
  fireEvent.keyDown(held(), { key: "x" });
  press("Clear");
  expect(held()).toBe(button("c"));
});

it("gives the focus to the page when the whole list goes", async () => {
  render(<Review />);
  button("a").focus();
  fireEvent.click(screen.getByRole("checkbox", { name: /Select all/ }));
  press("Accept");
  await waitFor(() => expect(held()).toBe(screen.getByRole("main")));
});

it("gives the focus to the panel that takes the place of another", async () => {
  const panel = (name: string) => (
    <main tabIndex={-1}>
      <aside key={name} data-panel tabIndex={-1} aria-label={name}>
        <input aria-label={`in ${name}`} />
      </aside>
    </main>
  );
  const { rerender } = render(panel("Add asset"));
  screen.getByLabelText("in Add asset").focus();
  rerender(panel("nas"));
  await waitFor(() => expect(held()).toBe(screen.getByRole("complementary", { name: "nas" })));
});

it("takes the focus from nobody, and gives it to nobody who has let it go", async () => {
  render(<Review />);
  button("a").focus();
  held().blur();
  await Promise.resolve();
  fireEvent.click(screen.getByRole("checkbox", { name: "Select a" }));
  fireEvent.click(button("Accept"));
  await new Promise((done) => setTimeout(done, 20));
  expect(held()).toBe(document.body);
});
