import type { Column } from "./data-table";

/** Where a spreadsheet sees a cell begin that it runs as a formula, also behind another separator than the comma and behind what it drops. */
const formula = /(^|[;\t|\n\r])(?=[\s\p{Cc}\p{Cf}"]*[=+\-@＝＋－＠])/gu;

/** RFC 4180, every cell quoted, no formula in any: a host name may be chosen by whoever owns the host. The server's export does the same. */
export function csvCell(value: string): string {
  return `"${value.replace(formula, "$1'").replaceAll('"', '""')}"`;
}

export function toCsv<T>(columns: Column<T>[], rows: readonly T[]): string {
  const shown = columns.filter((c) => c.csv);
  const lines = [
    shown.map((c) => csvCell(c.header)),
    ...rows.map((row) => shown.map((c) => csvCell(c.csv?.(row) ?? ""))),
  ];
  return lines.map((line) => line.join(",")).join("\r\n");
}

export function downloadCsv(name: string, text: string): void {
  download(name, new Blob(["\uFEFF", text], { type: "text/csv;charset=utf-8" }));
}

export function downloadText(name: string, text: string): void {
  download(name, new Blob([text], { type: "text/plain;charset=utf-8" }));
}

function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
