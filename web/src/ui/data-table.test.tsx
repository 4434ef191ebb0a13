import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { addWords } from "#/i18n";
import frame from "#/i18n/en/frame.json";
import { columnWidths } from "./column-widths";
import { type Column, DataTable } from "./data-table";
import { ordered } from "./order";

addWords(frame);

interface Row {
  id: string;
  name: string;
  ports: number | null;
}
const rows: Row[] = [
  { id: "a", name: "host-10", ports: 3 },
  { id: "b", name: "Host-9", ports: null },
  { id: "c", name: "alpha", ports: 20 },
];
const columns: Column<Row>[] = [
  { id: "name", header: "Name", sortBy: (row) => row.name, cell: (row) => row.name },
  {
    id: "ports",
    header: "Ports",
    sortBy: (row) => row.ports,
    descendingFirst: true,
    cell: (row) => row.ports,
  },
  { id: "icon", header: "Icon", cell: () => null },
];
const byServer: Column<Row>[] = [
  { id: "name", header: "Name", sortable: true, cell: (row) => row.name },
  { id: "ports", header: "Ports", cell: (row) => row.ports },
];

function Held({ onOpen }: { onOpen?: (row: Row) => void }) {
  const [sort, setSort] = useState("name");
  const [selection, setSelection] = useState<Set<string>>(new Set());
  return (
    <DataTable
      label="Hosts"
      columns={columns}
      rows={rows}
      rowId={(row) => row.id}
      rowLabel={(row) => row.name}
      sort={sort}
      onSort={setSort}
      selection={selection}
      onSelection={setSelection}
      onOpen={onOpen}
      empty={null}
    />
  );
}
const shown = () => screen.getAllByRole("button", { name: /host|alpha/i }).map((one) => one.textContent);
const header = (name: string) => screen.getByRole("columnheader", { name });

function Growing() {
  const [count, setCount] = useState(40);
  const many = Array.from({ length: count }, (_, at) => ({
    id: `${at}`,
    name: `host-${at}`,
    ports: null,
  }));
  return (
    <DataTable
      label="Hosts"
      columns={byServer}
      rows={many}
      rowId={(row) => row.id}
      rowLabel={(row) => row.name}
      onOpen={() => {}}
      empty={null}
      hasMore={count < 200}
      loadMore={() => setTimeout(() => setCount((before) => Math.min(before + 40, 200)), 5)}
    />
  );
}

describe("the table", () => {
  beforeEach(() => {
    // happy-dom lays nothing out; without a height no row is in sight.
    vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
  });
  afterEach(() => void vi.restoreAllMocks());

  it("sorts rows that it holds by a click, says how, and turns round", () => {
    render(<Held onOpen={() => {}} />);
    expect(shown()).toEqual(["alpha", "Host-9", "host-10"]);
    expect(header("Name").getAttribute("aria-sort")).toBe("ascending");
    expect(header("Ports").getAttribute("aria-sort")).toBe("none");
    expect(header("Icon").getAttribute("aria-sort")).toBeNull();
    fireEvent.click(within(header("Name")).getByRole("button"));
    expect(shown()).toEqual(["host-10", "Host-9", "alpha"]);
    expect(header("Name").getAttribute("aria-sort")).toBe("descending");
    fireEvent.click(within(header("Ports")).getByRole("button"));
    expect(shown()).toEqual(["alpha", "host-10", "Host-9"]);
    expect(header("Ports").getAttribute("aria-sort")).toBe("descending");
  });

  it("asks the server for the order of a list that it does not hold", () => {
    const onSort = vi.fn();
    const table = (sort: string) => (
      <DataTable
        label="Hosts"
        columns={byServer}
        rows={rows}
        rowId={(row) => row.id}
        rowLabel={(row) => row.name}
        sort={sort}
        onSort={onSort}
        empty={null}
      />
    );
    const { rerender } = render(table(""));
    fireEvent.click(within(header("Name")).getByRole("button"));
    expect(onSort).toHaveBeenLastCalledWith("name");
    rerender(table("name"));
    fireEvent.click(within(header("Name")).getByRole("button"));
    expect(onSort).toHaveBeenLastCalledWith("-name");
    expect(within(header("Ports")).queryByRole("button")).toBeNull();
  });

  it("loads on to the last row after End and G, until another key", async () => {
    // All rows are in sight: happy-dom does not scroll.
    vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(10_000);
    for (const key of ["End", "G"]) {
      const { unmount } = render(<Growing />);
      screen.getByRole("button", { name: "host-0" }).focus();
      fireEvent.keyDown(screen.getByRole("button", { name: "host-0" }), { key });
      await waitFor(() => expect(document.activeElement?.textContent).toBe("host-199"));
      fireEvent.keyDown(document.activeElement as Element, { key: "Home" });
      await waitFor(() => expect(document.activeElement?.textContent).toBe("host-0"));
      unmount();
    }
  });

  it("goes from row to row with j, k and the arrows, and selects with x", () => {
    const open = vi.fn();
    render(<Held onOpen={open} />);
    const button = (name: string) => screen.getByRole("button", { name });
    button("alpha").focus();
    fireEvent.keyDown(button("alpha"), { key: "j" });
    expect(document.activeElement).toBe(button("Host-9"));
    fireEvent.keyDown(button("Host-9"), { key: "x" });
    expect(screen.getByRole<HTMLInputElement>("checkbox", { name: "Select Host-9" }).checked).toBe(true);
    fireEvent.keyDown(button("Host-9"), { key: "ArrowDown" });
    expect(document.activeElement).toBe(button("host-10"));
    fireEvent.keyDown(button("host-10"), { key: "k" });
    fireEvent.keyDown(button("Host-9"), { key: "ArrowUp" });
    expect(document.activeElement).toBe(button("alpha"));
    expect(open).not.toHaveBeenCalled();
    fireEvent.keyDown(screen.getByRole("checkbox", { name: "Select alpha" }), { key: "Enter" });
    expect(open).toHaveBeenCalledWith(rows[2]);
  });
});

describe("a page where nothing has the focus", () => {
  beforeEach(() => {
    vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
  });
  afterEach(() => void vi.restoreAllMocks());
  const page = () =>
    render(
      <>
        <input aria-label="Filter" />
        <Held onOpen={() => {}} />
        <aside>
          <button type="button">Close</button>
        </aside>
      </>,
    );
  const pressed = (key: string, more: KeyboardEventInit = {}) =>
    fireEvent.keyDown(document.activeElement ?? document.body, { key, ...more });

  it.each(["j", "ArrowDown"])("goes to the first row with %s", (key) => {
    page();
    pressed(key);
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "alpha" }));
    pressed(key);
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Host-9" }));
  });

  it("leaves a key to the field or the panel that has the focus, and to the browser", () => {
    page();
    for (const one of [screen.getByLabelText("Filter"), screen.getByRole("button", { name: "Close" })]) {
      one.focus();
      pressed("j");
      expect(document.activeElement).toBe(one);
      one.blur();
    }
    pressed("j", { ctrlKey: true });
    pressed("k");
    expect(document.activeElement).toBe(document.body);
  });
});

describe("an order", () => {
  it("takes numbers by value, also in addresses, and puts what is missing last either way", () => {
    const texts = ["10.0.0.10", "10.0.0.9", null, "9.1.1.1"];
    expect(ordered(texts, (one) => one, false)).toEqual(["9.1.1.1", "10.0.0.9", "10.0.0.10", null]);
    expect(ordered(texts, (one) => one, true)).toEqual(["10.0.0.10", "10.0.0.9", "9.1.1.1", null]);
  });
});

describe("widths", () => {
  const column = (id: string, min: number, content: number, rank = 0, max = 400) => ({
    id,
    min,
    max,
    content,
    rank,
  });
  it("gives each column what it needs, and shares what is left", () => {
    const widths = columnWidths([column("a", 50, 100), column("b", 50, 300)], 800);
    expect([widths.get("a"), widths.get("b")]).toEqual([200, 600]);
  });
  it("cuts the greedy one only, and gives it what is left over before all others", () => {
    const asked = [column("name", 50, 300), column("status", 50, 100), column("kind", 50, 120)];
    expect([...columnWidths(asked, 400).values()]).toEqual([180, 100, 120]);
    // Beyond its `max`, as nobody else needs the room.
    const long = [column("issuer", 50, 500, 0, 200), column("status", 50, 100)];
    expect([...columnWidths(long, 600).values()]).toEqual([500, 100]);
    expect([...columnWidths(long, 350).values()]).toEqual([250, 100]);
  });
  it("leaves out what matters very little before it cuts the others", () => {
    const asked = (rank: number) => [
      column("name", 80, 150),
      column("kind", 80, 120),
      column("tags", 40, 60, rank),
    ];
    expect([...columnWidths(asked(4), 300).keys()]).toEqual(["name", "kind"]);
    expect([...columnWidths(asked(3), 300).keys()]).toEqual(["name", "kind", "tags"]);
    expect([...columnWidths(asked(4), 330).keys()]).toEqual(["name", "kind", "tags"]);
  });
  it("shrinks towards the least, and leaves out what matters least", () => {
    const asked = [column("a", 100, 200), column("b", 100, 200, 2), column("c", 100, 200, 1)];
    const widths = columnWidths(asked, 360);
    expect([...widths.keys()]).toEqual(["a", "b", "c"]);
    expect([...widths.values()].reduce((sum, width) => sum + width, 0)).toBeCloseTo(360);
    expect([...columnWidths(asked, 250).keys()]).toEqual(["a", "c"]);
    expect([...columnWidths(asked, 50).keys()]).toEqual(["a"]);
  });
});
