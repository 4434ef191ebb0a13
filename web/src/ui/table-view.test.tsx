import { fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { chosenColumns, readChoice, useTableView } from "./table-view";

addWords(frame);
const columns = ["name", "status", "vendor"].map((id) => ({ id, header: id, cell: () => null }));

function Table() {
  const view = useTableView("hosts", columns);
  return (
    <>
      {view.menu}
      <p>{`${view.columns.map((column) => column.id).join(" ")}${view.dense ? " dense" : ""}`}</p>
    </>
  );
}
function open() {
  fireEvent.keyDown(screen.getByRole("button", { name: "Columns and density" }), { key: "Enter" });
}

describe("what a person has chosen for a table", () => {
  afterEach(() => localStorage.clear());

  it("hides, moves and packs, and is remembered", () => {
    const { unmount } = render(<Table />);
    open();
    fireEvent.click(screen.getByRole("menuitem", { name: "Move vendor to the left" }));
    expect(screen.getByText("name vendor status")).toBeTruthy();
    fireEvent.click(screen.getByRole("menuitemcheckbox", { name: "status" }));
    expect(screen.getByText("name vendor")).toBeTruthy();
    fireEvent.click(screen.getByRole("menuitemradio", { name: "Compact" }));
    unmount();
    render(<Table />);
    expect(screen.getByText("name vendor dense")).toBeTruthy();
  });

  it("keeps the first column, and shows a column that is new", () => {
    const ids = chosenColumns(columns, { order: ["vendor", "gone"], hidden: ["name"], dense: false });
    expect(ids.map((column) => column.id)).toEqual(["name", "vendor", "status"]);
  });

  it("does not trust what was saved", () => {
    for (const saved of [null, "", "{", "7", "null", '{"order":7,"hidden":[1],"dense":"yes"}'])
      expect(readChoice(saved)).toEqual({ order: [], hidden: [], dense: false });
  });
});
