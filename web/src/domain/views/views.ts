/**
 * Saved views: what a user wants a table to show, under a name. Owns how a view becomes an address and a choice of columns, and back.
 * A view may name what this version no longer knows: the page's address drops it, and so does `choiceOf` for columns.
 */
import { queryOptions } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import type { View, ViewIn, ViewList } from "#/api/schema";
import type { Column } from "#/ui/data-table";
import { type Choice, chosenColumns } from "#/ui/table-view";
import type { FileRoutesByTo } from "../../routeTree.gen";

/** The parts of a page's address that say what its table shows. */
export type Shown = Readonly<Record<string, string | undefined>>;

interface Table {
  to: keyof FileRoutesByTo;
  /** What else narrows the table, as its address names it. */
  narrowed: readonly string[];
}

/** The tables that have views. To add one: a line here, its name in `views.table`, and `List` on the server. */
export const tables: Record<ViewList, Table> = {
  inventory: { to: "/inventory", narrowed: ["network"] },
  networks: { to: "/networks", narrowed: [] },
  findings: { to: "/discovery", narrowed: ["state", "group", "from"] },
  audit_log: { to: "/audit", narrowed: ["action", "entity"] },
  users: { to: "/users", narrowed: [] },
  credentials: { to: "/vault", narrowed: [] },
  webhooks: { to: "/notifications", narrowed: [] },
  channels: { to: "/notifications/channels", narrowed: [] },
  hooks: { to: "/notifications/incoming", narrowed: [] },
  providers: { to: "/settings/providers", narrowed: [] },
};

export const viewsQuery = queryOptions({
  queryKey: ["views"],
  queryFn: () => take(http.GET("/api/v1/views")),
});

/** The address that opens a view. */
export function addressOf({ id, list, q, sort, narrowed }: View): Shown {
  const known = narrowed.filter(({ name }) => tables[list].narrowed.includes(name));
  return {
    ...Object.fromEntries(known.map(({ name, value }) => [name, value])),
    q: q || undefined,
    sort: sort || undefined,
    view: id,
  };
}

export function choiceOf({ columns, dense }: View): Choice {
  return {
    order: columns.map((column) => column.id),
    hidden: columns.filter((column) => !column.shown).map((column) => column.id),
    dense,
  };
}

type Content = Required<Omit<ViewIn, "list" | "name">>;

/** What a view of this moment contains. */
export function contentOf<T>(
  list: ViewList,
  shown: Shown,
  choice: Choice,
  columns: readonly Column<T>[],
): Content {
  return {
    q: shown.q?.trim() ?? "",
    sort: shown.sort ?? "",
    narrowed: tables[list].narrowed.flatMap((name) => {
      const value = shown[name];
      return value ? [{ name, value }] : [];
    }),
    // The first column always stays where it is.
    columns: chosenColumns(columns, { ...choice, hidden: [] })
      .slice(1)
      .map(({ id }) => ({ id, shown: !choice.hidden.includes(id) })),
    dense: choice.dense,
  };
}

/** Whether the table shows something else than its view says. */
export function differs<T>(view: View, shown: Shown, choice: Choice, columns: readonly Column<T>[]): boolean {
  const now = contentOf(view.list, shown, choice, columns);
  const then = contentOf(view.list, addressOf(view), choiceOf(view), columns);
  return JSON.stringify(now) !== JSON.stringify(then);
}
