/**
 * The one table of the client: virtual rows, sort, selection, endless scroll, and keys (j, k and arrows move; Home, End and G go to the
 * first and the last row; x selects; Enter opens). On a page where nothing has the focus, j and the down arrow go to the first row.
 * A real <table>, so that screen readers have rows and headers; rows out of sight are two spacer rows.
 *
 * Groups are headings between rows that the server has put in their order. The focus stays where the hand is: when the row that has it goes
 * away, the one that takes its place gets it; when the buttons for the selected rows go, the row that was last in hand.
 *
 * A column is sorted by the server when it is `sortable`, and here when it has `sortBy`; a table uses one of the two.
 */
import {
  type ColumnDef,
  rowSelectionFeature,
  rowSortingFeature,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import {
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
} from "react";
import { useAwaySince } from "#/api/hooks";
import { useTranslation } from "#/i18n";
import { cx } from "./cx";
import { ErrorBox, NotLoaded, Skeleton } from "./feedback";
import { focusIsLost } from "./lost-focus";
import { ordered } from "./order";
import { useStrayKeys } from "./stray-keys";
import { type Column, PHONE, useRoom, widthsOf } from "./table-columns";

export type { Column };

interface DataTableProps<T> {
  label: string;
  columns: Column<T>[];
  rows: readonly T[];
  rowId: (row: T) => string;
  rowLabel: (row: T) => string;
  loading?: boolean;
  error?: unknown;
  retry?: () => void;
  empty: ReactNode;
  sort?: string;
  onSort?: (sort: string) => void;
  selection?: ReadonlySet<string>;
  onSelection?: (next: Set<string>) => void;
  activeId?: string;
  onOpen?: (row: T) => void;
  hasMore?: boolean;
  loadMore?: () => void;
  total?: number | null;
  /** Told when the top of the list comes into view or leaves it. */
  onTop?: (inView: boolean) => void;
  /** Which group a row belongs to, and what its heading shows. The rows of a group follow each other. */
  groups?: { of: (row: T) => string; heading: (group: string) => ReactNode };
  /** What other keys do to the row that has the focus. */
  keys?: Readonly<Record<string, (row: T) => void>>;
  /** Rows with less room around them. */
  dense?: boolean;
  /** Its first column is read as a sentence: on a phone it takes two lines. */
  wraps?: boolean;
  /** For whoever scrolls the list. */
  scrollerRef?: RefObject<HTMLDivElement | null>;
}

const features = tableFeatures({ rowSortingFeature, rowSelectionFeature });
const ROW = 36;
const DENSE_ROW = 28;
const TWO_LINES = 52;
const GROUP_ROW = 40;
const AHEAD = 25;
const BOX = 40;
/** Pages that are loaded on the way to the last row, at most. */
const TO_THE_END = 50;

export function DataTable<T extends object>(props: DataTableProps<T>) {
  const { rowId, selection, onSelection, sort, onSort, hasMore, loadMore } = props;
  const { t } = useTranslation();
  const ownScroller = useRef<HTMLDivElement>(null);
  const scroller = props.scrollerRef ?? ownScroller;
  const atTop = useRef(true);
  const room = useRoom(scroller);
  const wraps = !!props.wraps && room > 0 && room < PHONE;
  const height = wraps ? TWO_LINES : props.dense ? DENSE_ROW : ROW;
  const rows = useMemo(() => {
    const by = props.columns.find((column) => column.id === sort?.replace(/^-/, ""))?.sortBy;
    return by ? ordered(props.rows, by, sort?.startsWith("-") ?? false) : props.rows;
  }, [props.rows, props.columns, sort]);
  const widths = useMemo(
    () => widthsOf(props.columns, props.rows, room - (onSelection ? BOX : 0)),
    [props.columns, props.rows, room, onSelection],
  );
  const columns = useMemo(
    () => (widths ? props.columns.filter((column) => widths.has(column.id)) : props.columns),
    [props.columns, widths],
  );

  const defs = useMemo(
    () =>
      columns.map(
        (c): ColumnDef<typeof features, T> => ({
          id: c.id,
          header: c.header,
          // The library sorts by columns with an accessor only. The order itself is the server's or `ordered`'s.
          accessorFn: () => null,
          enableSorting: !!c.sortable || !!c.sortBy,
          sortDescFirst: !!c.descendingFirst,
          cell: (x) => c.cell(x.row.original),
        }),
      ),
    [columns],
  );
  const sorting = useMemo(
    () => (sort ? [{ id: sort.replace(/^-/, ""), desc: sort.startsWith("-") }] : []),
    [sort],
  );
  const rowSelection = useMemo(
    () => Object.fromEntries([...(selection ?? [])].map((id) => [id, true as const])),
    [selection],
  );
  const table = useTable({
    features,
    columns: defs,
    data: rows as T[],
    getRowId: rowId,
    manualSorting: true,
    state: { sorting, rowSelection },
    onSortingChange: (change) => {
      const [first] = typeof change === "function" ? change(sorting) : change;
      onSort?.(first ? `${first.desc ? "-" : ""}${first.id}` : "");
    },
    onRowSelectionChange: (change) => {
      const next = typeof change === "function" ? change(rowSelection) : change;
      onSelection?.(new Set(Object.keys(next).filter((id) => next[id])));
    },
  });
  const model = table.getRowModel().rows;
  const allSelected = useMemo(
    () => !!selection && rows.length > 0 && rows.every((row) => selection.has(rowId(row))),
    [rows, selection, rowId],
  );
  const { groups } = props;
  // Rows by their index, and headings by their group.
  const lines = useMemo(() => {
    if (!groups) return rows.map((_, at) => at);
    const all: (number | string)[] = [];
    let before: string | undefined;
    for (const [at, row] of rows.entries()) {
      const group = groups.of(row);
      if (group !== before) all.push(group);
      before = group;
      all.push(at);
    }
    return all;
  }, [rows, groups]);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: (at) => (typeof lines[at] === "string" ? GROUP_ROW : height),
    overscan: 12,
  });
  // The sizes of rows are remembered.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another density is another size
  useLayoutEffect(() => virtual.measure(), [virtual, height, lines]);
  const items = virtual.getVirtualItems();
  const first = items[0];
  const last = items[items.length - 1];
  const reached = last?.index ?? -1;
  useEffect(() => {
    if (hasMore && reached >= lines.length - AHEAD) loadMore?.();
  }, [hasMore, reached, lines.length, loadMore]);

  // The last row that had the focus, or the first one under the heading that had it.
  const held = useRef<{ id: string; index: number } | null>(null);
  const selecting = !!selection?.size;
  const earlier = useRef(rows);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when rows go, or what is done to the selected ones
  useLayoutEffect(() => {
    const before = earlier.current;
    earlier.current = rows;
    if (!held.current || !focusIsLost()) return;
    const { id, index } = held.current;
    // Itself, or the next one that is still there: rows above it may have gone too.
    const from = before.findIndex((row) => rowId(row) === id);
    const places = new Map(rows.map((row, at) => [rowId(row), at]));
    const next = before.slice(from < 0 ? index : from).find((row) => places.has(rowId(row)));
    focusRow((next && places.get(rowId(next))) ?? rows.length - 1);
  }, [rows, selecting]);

  // The last row that is loaded is not the last one while there are more.
  const toTheEnd = useRef(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the rows change
  useEffect(() => {
    if (toTheEnd.current <= 0) return;
    toTheEnd.current -= 1;
    focusRow(model.length - 1);
  }, [rows]);

  function focusRow(index: number): void {
    if (index < 0 || index >= model.length) return;
    virtual.scrollToIndex(lines.indexOf(index));
    // The row may have to be drawn first.
    let tries = 10;
    const focus = () => {
      const row = scroller.current?.querySelector(`tr[data-row="${index}"]`);
      const target = row?.querySelector<HTMLElement>("[data-row-open]") ?? row?.querySelector("input");
      if (target) target.focus({ preventScroll: true });
      else if (tries-- > 0) requestAnimationFrame(focus);
    };
    focus();
  }
  useStrayKeys(scroller, (event, holder) => {
    if (event.key !== "j" && event.key !== "ArrowDown") return;
    // Arrows scroll a list that has the focus itself.
    if (model.length === 0 || (event.key === "ArrowDown" && holder === scroller.current)) return;
    focusRow(
      Math.max(
        0,
        model.findIndex((row) => row.id === props.activeId),
      ),
    );
    event.preventDefault();
  });
  function onKey(event: KeyboardEvent<HTMLTableSectionElement>): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const element = event.target as HTMLElement;
    if (element.closest("select,textarea,[contenteditable]")) return;
    const index = Number(element.closest("tr")?.dataset.row ?? Number.NaN);
    const row = model[index];
    if (!row) return;
    const key = event.key;
    toTheEnd.current = 0;
    if (key === "ArrowDown" || key === "j") focusRow(index + 1);
    else if (key === "ArrowUp" || key === "k") focusRow(index - 1);
    else if (key === "Home") focusRow(0);
    else if (key === "End" || key === "G") {
      toTheEnd.current = TO_THE_END;
      focusRow(model.length - 1);
    } else if (key === "x" && onSelection) row.toggleSelected();
    else if (key === "Tab" && !event.shiftKey && row.id === props.activeId) {
      // The panel follows the row that it belongs to.
      const panel = document.querySelector<HTMLElement>("[data-panel]");
      if (!panel) return;
      panel.focus();
    } else if (key === "Enter" && element.closest("input") && props.onOpen) props.onOpen(row.original);
    else if (props.keys && Object.hasOwn(props.keys, key)) props.keys[key]?.(row.original);
    else return;
    event.preventDefault();
  }

  if (props.error && rows.length === 0)
    return <ErrorBox error={props.error} retry={props.retry} className="m-4" />;
  if (!props.loading && rows.length === 0) return <>{props.empty}</>;
  const width = columns.length + (onSelection ? 1 : 0);
  const style = new Map(columns.map((c) => [c.id, c.className]));

  return (
    <section
      ref={scroller}
      // The rows out of sight are spacers that grow and shrink: what the browser anchors to would jump with them.
      data-makes-room
      className="@container relative min-h-0 flex-1 scroll-pb-(--toast) overflow-auto pb-(--toast) [overflow-anchor:none]"
      onScroll={({ currentTarget }) => {
        const inView = currentTarget.scrollTop < ROW;
        if (inView !== atTop.current) props.onTop?.(inView);
        atTop.current = inView;
      }}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
      tabIndex={0}
      aria-label={props.label}
    >
      <table
        className="w-full table-fixed border-separate border-spacing-0 text-left"
        aria-rowcount={typeof props.total === "number" ? props.total + 1 : -1}
        aria-label={props.label}
      >
        {widths ? (
          <colgroup>
            {onSelection ? <col style={{ width: BOX }} /> : null}
            {columns.map((column) => (
              <col key={column.id} style={{ width: widths.get(column.id) }} />
            ))}
          </colgroup>
        ) : null}
        <thead className="sticky top-0 z-10 bg-canvas">
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {onSelection ? (
                <th scope="col" className="h-9 w-10 border-b border-line pl-4">
                  <input
                    type="checkbox"
                    className="block size-4 accent-accent"
                    aria-label={t("table.selectAll")}
                    checked={allSelected}
                    ref={(box) => {
                      if (box) box.indeterminate = !allSelected && !!selection?.size;
                    }}
                    onChange={table.getToggleAllRowsSelectedHandler()}
                  />
                </th>
              ) : null}
              {group.headers.map((header) => {
                const direction = header.column.getIsSorted();
                const sortable = header.column.getCanSort() && !!onSort;
                return (
                  <th
                    key={header.id}
                    scope="col"
                    aria-sort={
                      direction
                        ? direction === "asc"
                          ? "ascending"
                          : "descending"
                        : sortable
                          ? "none"
                          : undefined
                    }
                    className={cx(
                      "h-9 border-b border-line px-2 text-xs font-medium text-muted first:pl-4",
                      style.get(header.column.id),
                    )}
                  >
                    {sortable ? (
                      <button
                        type="button"
                        className="flex min-h-6 max-w-full items-center gap-1 hover:text-ink"
                        onClick={header.column.getToggleSortingHandler()}
                      >
                        <table.FlexRender header={header} />
                        {direction === "asc" ? <ArrowUp aria-hidden className="size-3" /> : null}
                        {direction === "desc" ? <ArrowDown aria-hidden className="size-3" /> : null}
                      </button>
                    ) : (
                      <table.FlexRender header={header} />
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody
          onKeyDown={onKey}
          onFocus={({ target }) => {
            const { row: own, before } = target.closest("tr")?.dataset ?? {};
            const index = Number(own ?? before ?? Number.NaN);
            const row = model[index];
            held.current = row ? { id: row.id, index } : null;
          }}
          onBlur={({ relatedTarget }) => {
            // A row that goes away loses the focus to nobody.
            if (relatedTarget && !(relatedTarget as Element).closest("tbody")) toTheEnd.current = 0;
          }}
        >
          {props.loading && rows.length === 0 ? <LoadingRows width={width} /> : null}
          {first ? <Spacer height={first.start} /> : null}
          {items.map((item) => {
            const line = lines[item.index];
            if (typeof line === "string")
              return (
                <tr key={`group ${line}`} data-before={lines[item.index + 1]} className="h-10">
                  <th
                    scope="rowgroup"
                    colSpan={width}
                    className="border-b border-line bg-sunken px-4 text-left font-normal"
                  >
                    {groups?.heading(line)}
                  </th>
                </tr>
              );
            const row = model[line ?? -1];
            if (!row) return null;
            const active = props.activeId === row.id;
            return (
              <tr
                key={row.id}
                data-row={line}
                aria-rowindex={(line ?? 0) + 2}
                aria-selected={onSelection ? row.getIsSelected() : undefined}
                onClick={(event) => {
                  if (!(event.target as HTMLElement).closest("button,a,input,select,label"))
                    props.onOpen?.(row.original);
                }}
                className={cx(
                  wraps ? "h-13" : props.dense ? "h-7" : "h-9",
                  props.onOpen && "cursor-pointer",
                  active ? "bg-selected" : row.getIsSelected() ? "bg-accent-soft" : "hover:bg-hover",
                )}
              >
                {onSelection ? (
                  <td className="border-b border-line pl-4">
                    <input
                      type="checkbox"
                      className="block size-4 accent-accent"
                      aria-label={t("table.select", { name: props.rowLabel(row.original) })}
                      checked={row.getIsSelected()}
                      onChange={row.getToggleSelectedHandler()}
                    />
                  </td>
                ) : null}
                {row.getAllCells().map((cell, at) => (
                  <td
                    key={cell.id}
                    className={cx(
                      "truncate border-b border-line px-2 first:pl-4",
                      wraps && at === 0 && "whitespace-normal",
                      style.get(cell.column.id),
                    )}
                  >
                    {at === 0 && props.onOpen ? (
                      <button
                        type="button"
                        data-row-open
                        aria-current={active ? "true" : undefined}
                        className={cx(
                          "flex max-w-full items-center gap-2 truncate rounded-sm text-left font-medium",
                          wraps && "whitespace-normal",
                        )}
                        onClick={() => props.onOpen?.(row.original)}
                      >
                        <table.FlexRender cell={cell} />
                      </button>
                    ) : (
                      <table.FlexRender cell={cell} />
                    )}
                  </td>
                ))}
              </tr>
            );
          })}
          {last ? <Spacer height={virtual.getTotalSize() - last.end} /> : null}
        </tbody>
      </table>
      {props.error && rows.length > 0 ? (
        <ErrorBox error={props.error} retry={props.retry} className="m-4" />
      ) : null}
    </section>
  );
}

/** One cell only: a colSpan over hidden columns would bring their widths back. */
function Spacer({ height }: { height: number }) {
  if (height <= 0) return null;
  return (
    <tr aria-hidden>
      <td style={{ height, padding: 0 }} />
    </tr>
  );
}

function LoadingRows({ width }: { width: number }) {
  if (useAwaySince() !== null)
    return (
      <tr>
        <td className="relative h-12">
          <NotLoaded className="absolute top-3 left-4 w-[calc(100cqw-2rem)]" />
        </td>
      </tr>
    );
  return Array.from({ length: 8 }, (_, at) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: placeholder rows have no identity
    <tr key={at} className="h-9" aria-hidden>
      {Array.from({ length: width }, (_, cell) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: placeholder cells have no identity
        <td key={cell} className="border-b border-line px-2 first:pl-4">
          <Skeleton className="h-3.5 w-3/4" />
        </td>
      ))}
    </tr>
  ));
}
