/** The columns of a table as its user wants them, and the two menus for that: views, and columns with density. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import type { ViewList } from "#/api/schema";
import { useHidden } from "#/domain/removal";
import { useTranslation } from "#/i18n";
import type { Column } from "#/ui/data-table";
import { type Choice, useTableView } from "#/ui/table-view";
import { toast, UNDO_MS } from "#/ui/toast";
import { choiceOf, type Shown, viewsQuery } from "./views";
import { ViewsMenu } from "./views-menu";

/**
 * `shown` is what the page's address says of the table, with the view that is open; `open` replaces all of it.
 */
export function useViews<T>(
  list: ViewList,
  columns: Column<T>[],
  shown: Shown,
  open: (next: Shown) => void,
): { columns: Column<T>[]; dense: boolean; menu: ReactNode } {
  const client = useQueryClient();
  const hidden = useHidden();
  const all = useQuery(viewsQuery).data;
  const views = (all ?? []).filter((one) => one.list === list && !hidden.has(one.id));
  const view = views.find((one) => one.id === shown.view);
  const { t } = useTranslation();
  const unknown = all && shown.view && !all.some((one) => one.list === list && one.id === shown.view);
  useEffect(() => {
    if (unknown) toast(t("views.unknown"), { tone: "error", ms: UNDO_MS });
  }, [unknown, t]);
  // Columns that were chosen while a view is open belong to the view once it is saved, and never to the usual table.
  const [draft, setDraft] = useState<{ of: string; choice: Choice }>();
  const drafted = draft && view && draft.of === `${view.id} ${view.version}` ? draft.choice : undefined;
  const table = useTableView(
    list,
    columns,
    view && {
      choice: drafted ?? choiceOf(view),
      onChange: (choice) => setDraft({ of: `${view.id} ${view.version}`, choice }),
    },
  );
  const menu = (
    <>
      <ViewsMenu
        list={list}
        views={views}
        view={view}
        shown={shown}
        choice={table.choice}
        columns={columns}
        onOpen={(next) => {
          setDraft(undefined);
          open(next);
        }}
        onSaved={(saved) => {
          // Known before its address asks for it.
          client.setQueryData(viewsQuery.queryKey, (known = []) =>
            [...known.filter((one) => one.id !== saved.id), saved].sort((a, b) =>
              a.name.localeCompare(b.name),
            ),
          );
          void client.invalidateQueries({ queryKey: viewsQuery.queryKey });
        }}
      />
      <span className="max-md:hidden">{table.menu}</span>
    </>
  );
  return { columns: table.columns, dense: table.dense, menu };
}
