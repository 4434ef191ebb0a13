import type { Column } from "./data-table";

/** RFC 4180, with the leading character of a formula defused: a host name may be chosen by whoever owns the host. */
export function csvCell(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
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
