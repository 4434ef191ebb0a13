/** What a person has chosen for a table: which columns, in which order, how dense. This browser remembers it. */
import { ArrowDown, ArrowUp, Columns3 } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { type ReactNode, useMemo, useState } from "react";
import { useTranslation } from "#/i18n";
import { IconButton } from "./button";
import type { Column } from "./data-table";
import { MenuChoice, MenuFrame } from "./menu";

export interface Choice {
  /** Ids of columns in their order. Those that are not named follow. */
  order: string[];
  hidden: string[];
  dense: boolean;
}
const usual: Choice = { order: [], hidden: [], dense: false };

/** What was saved may be of another version, or no JSON at all. */
export function readChoice(saved: string | null): Choice {
  try {
    const read: unknown = JSON.parse(saved ?? "");
    if (typeof read !== "object" || read === null) return usual;
    const { order, hidden, dense } = read as Record<string, unknown>;
    const texts = (list: unknown) =>
      Array.isArray(list) ? list.filter((one): one is string => typeof one === "string").slice(0, 50) : [];
    return { order: texts(order), hidden: texts(hidden), dense: dense === true };
  } catch {
    return usual;
  }
}

/** The first column says what a row is; it stays where it is. */
export function chosenColumns<T>(columns: readonly Column<T>[], { order, hidden }: Choice): Column<T>[] {
  const place = (id: string) => (order.includes(id) ? order.indexOf(id) : order.length);
  const [first, ...others] = columns;
  const sorted = others
    .map((column, at) => ({ column, at }))
    .sort((a, b) => place(a.column.id) - place(b.column.id) || a.at - b.at)
    .map(({ column }) => column);
  const shown = sorted.filter((column) => !hidden.includes(column.id));
  return first ? [first, ...shown] : shown;
}

/** `instead`: a choice that somebody else keeps, in place of the one that this browser remembers. */
export function useTableView<T>(
  table: string,
  columns: Column<T>[],
  instead?: { choice: Choice; onChange: (next: Choice) => void },
): { columns: Column<T>[]; dense: boolean; menu: ReactNode; choice: Choice } {
  const key = `cb.table.${table}`;
  const [remembered, setRemembered] = useState(() => readChoice(localStorage.getItem(key)));
  const choice = instead?.choice ?? remembered;
  // The same columns for the same choice, however often it is read.
  const fingerprint = JSON.stringify(choice);
  const shown = useMemo(() => chosenColumns(columns, readChoice(fingerprint)), [columns, fingerprint]);
  const change = (next: Choice) => {
    if (instead) return instead.onChange(next);
    setRemembered(next);
    localStorage.setItem(key, JSON.stringify(next));
  };
  return {
    columns: shown,
    dense: choice.dense,
    choice,
    menu: <ViewMenu columns={columns} choice={choice} onChange={change} />,
  };
}

function ViewMenu<T>({
  columns,
  choice,
  onChange,
}: {
  columns: Column<T>[];
  choice: Choice;
  onChange: (next: Choice) => void;
}) {
  const { t } = useTranslation();
  const all = chosenColumns(columns, { ...choice, hidden: [] });
  const move = (id: string, by: number) => {
    const order = all.slice(1).map((column) => column.id);
    const from = order.indexOf(id);
    if (from + by < 0 || from + by >= order.length) return;
    order.splice(from, 1);
    order.splice(from + by, 0, id);
    onChange({ ...choice, order });
  };
  const toggle = (id: string, show: boolean) =>
    onChange({
      ...choice,
      hidden: show ? choice.hidden.filter((one) => one !== id) : [...choice.hidden, id],
    });
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <IconButton label={t("table.view")}>
          <Columns3 aria-hidden className="size-4" />
        </IconButton>
      </DropdownMenu.Trigger>
      <MenuFrame label={t("table.view")} className="min-w-64">
        {all.slice(1).map((column, at) => (
          <DropdownMenu.Group key={column.id} aria-label={column.header} className="flex items-center">
            <DropdownMenu.CheckboxItem
              checked={!choice.hidden.includes(column.id)}
              onCheckedChange={(show) => toggle(column.id, show)}
              onSelect={(event) => event.preventDefault()}
              className="flex h-8 flex-1 items-center gap-2 rounded px-2 text-sm outline-none data-[highlighted]:bg-hover max-md:h-11"
            >
              <span aria-hidden className="w-4 text-accent-text">
                {choice.hidden.includes(column.id) ? "" : "✓"}
              </span>
              {column.header}
            </DropdownMenu.CheckboxItem>
            <Move
              label={t("table.left", { name: column.header })}
              disabled={at === 0}
              onSelect={() => move(column.id, -1)}
            >
              <ArrowUp aria-hidden className="size-3.5" />
            </Move>
            <Move
              label={t("table.right", { name: column.header })}
              disabled={at === all.length - 2}
              onSelect={() => move(column.id, 1)}
            >
              <ArrowDown aria-hidden className="size-3.5" />
            </Move>
          </DropdownMenu.Group>
        ))}
        <DropdownMenu.Separator className="my-1 h-px bg-line" />
        <MenuChoice
          label={t("table.density")}
          value={choice.dense ? "dense" : "usual"}
          onChange={(value) => onChange({ ...choice, dense: value === "dense" })}
          options={[
            { value: "usual", label: t("table.comfortable") },
            { value: "dense", label: t("table.compact") },
          ]}
        />
      </MenuFrame>
    </DropdownMenu.Root>
  );
}

function Move(props: { label: string; disabled: boolean; onSelect: () => void; children: ReactNode }) {
  return (
    <DropdownMenu.Item
      aria-label={props.label}
      title={props.label}
      disabled={props.disabled}
      onSelect={(event) => {
        event.preventDefault();
        props.onSelect();
      }}
      className="grid size-8 place-items-center rounded text-muted outline-none data-[disabled]:opacity-40 data-[highlighted]:bg-hover max-md:size-11"
    >
      {props.children}
    </DropdownMenu.Item>
  );
}
