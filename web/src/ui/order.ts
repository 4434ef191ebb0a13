/** How a table orders rows that the client holds whole: numbers by value, also within texts; what has no value comes last. */
export type SortValue = string | number | boolean | null | undefined;

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export function ordered<T>(rows: readonly T[], value: (row: T) => SortValue, descending: boolean): T[] {
  const keyed = rows.map((row, at) => ({ row, at, key: value(row) }));
  const lacks = (key: SortValue) => key === null || key === undefined || key === "";
  keyed.sort((a, b) => {
    if (lacks(a.key) || lacks(b.key)) return Number(lacks(a.key)) - Number(lacks(b.key)) || a.at - b.at;
    const order =
      typeof a.key === "string" && typeof b.key === "string"
        ? collator.compare(a.key, b.key)
        : Number(a.key) - Number(b.key);
    return (descending ? -order : order) || a.at - b.at;
  });
  return keyed.map(({ row }) => row);
}
