/**
 * The one table of the client: virtual rows, server-side sort, selection, endless scroll, arrow keys between rows.
 * A real <table>, so that screen readers have rows and headers; rows out of sight are two spacer rows.
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
import { type KeyboardEvent, type ReactNode, type RefObject, useEffect, useMemo, useRef } from "react";
import { useTranslation } from "#/i18n";
import { cx } from "./cx";
import { ErrorBox, Skeleton } from "./feedback";

export interface Column<T> {
  id: string;
  header: string;
  cell: (row: T) => ReactNode;
  /** What stands in the CSV; columns without it are left out. */
  csv?: (row: T) => string;
  sortable?: boolean;
  className?: string;
}

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
  /** For whoever scrolls the list. */
  scrollerRef?: RefObject<HTMLDivElement | null>;
}

const features = tableFeatures({ rowSortingFeature, rowSelectionFeature });
const ROW = 36;
const AHEAD = 25;

export function DataTable<T extends object>(props: DataTableProps<T>) {
  const { columns, rows, rowId, selection, onSelection, sort, onSort, hasMore, loadMore } = props;
  const { t } = useTranslation();
  const ownScroller = useRef<HTMLDivElement>(null);
  const scroller = props.scrollerRef ?? ownScroller;
  const atTop = useRef(true);

  const defs = useMemo(
    () =>
      columns.map(
        (c): ColumnDef<typeof features, T> => ({
          id: c.id,
          header: c.header,
          enableSorting: !!c.sortable,
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
  const virtual = useVirtualizer({
    count: model.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const first = items[0];
  const last = items[items.length - 1];
  const reached = last?.index ?? -1;
  useEffect(() => {
    if (hasMore && reached >= rows.length - AHEAD) loadMore?.();
  }, [hasMore, reached, rows.length, loadMore]);

  if (props.error && rows.length === 0)
    return <ErrorBox error={props.error} retry={props.retry} className="m-4" />;
  if (!props.loading && rows.length === 0) return <>{props.empty}</>;
  const width = columns.length + (onSelection ? 1 : 0);
  const style = new Map(columns.map((c) => [c.id, c.className]));

  return (
    <section
      ref={scroller}
      // The rows out of sight are spacers that grow and shrink: what the browser anchors to would jump with them.
      className="@container relative min-h-0 flex-1 overflow-auto [overflow-anchor:none]"
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
        <thead className="sticky top-0 z-10 bg-canvas">
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {onSelection ? (
                <th scope="col" className="h-9 w-10 border-b border-line pl-4">
                  <input
                    type="checkbox"
                    className="block size-4 accent-accent"
                    aria-label={t("table.selectAll")}
                    checked={rows.length > 0 && table.getIsAllRowsSelected()}
                    ref={(box) => {
                      if (box) box.indeterminate = table.getIsSomeRowsSelected();
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
                    aria-sort={direction ? (direction === "asc" ? "ascending" : "descending") : undefined}
                    className={cx(
                      "h-9 border-b border-line px-2 text-xs font-medium text-muted first:pl-4",
                      style.get(header.column.id),
                    )}
                  >
                    {sortable ? (
                      <button
                        type="button"
                        className="flex items-center gap-1 hover:text-ink"
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
        <tbody onKeyDown={walkRows}>
          {props.loading && rows.length === 0 ? <LoadingRows width={width} /> : null}
          {first ? <Spacer height={first.start} /> : null}
          {items.map((item) => {
            const row = model[item.index];
            if (!row) return null;
            const active = props.activeId === row.id;
            return (
              <tr
                key={row.id}
                aria-rowindex={item.index + 2}
                aria-selected={onSelection ? row.getIsSelected() : undefined}
                onClick={(event) => {
                  if (!(event.target as HTMLElement).closest("button,a,input,select,label"))
                    props.onOpen?.(row.original);
                }}
                className={cx(
                  "h-9",
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
                    className={cx("truncate border-b border-line px-2 first:pl-4", style.get(cell.column.id))}
                  >
                    {at === 0 && props.onOpen ? (
                      <button
                        type="button"
                        data-row-open
                        aria-current={active ? "true" : undefined}
                        className="flex max-w-full items-center gap-2 truncate rounded-sm text-left font-medium"
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

function walkRows(event: KeyboardEvent<HTMLTableSectionElement>): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const row = (event.target as HTMLElement).closest("tr");
  const next = event.key === "ArrowDown" ? row?.nextElementSibling : row?.previousElementSibling;
  const button = next?.querySelector<HTMLElement>("[data-row-open]");
  if (!button) return;
  event.preventDefault();
  button.focus();
  next?.scrollIntoView({ block: "nearest" });
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
