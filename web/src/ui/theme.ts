/** Dark, light, or what the system says. Kept in this browser only. */
import { useSyncExternalStore } from "react";

export type Theme = "system" | "dark" | "light";
const KEY = "cb.theme";
const system = matchMedia("(prefers-color-scheme: light)");
const listeners = new Set<() => void>();

function read(): Theme {
  const saved = localStorage.getItem(KEY);
  return saved === "dark" || saved === "light" ? saved : "system";
}
let theme: Theme = read();

function apply(): void {
  const shown = theme === "system" ? (system.matches ? "light" : "dark") : theme;
  document.documentElement.dataset.theme = shown;
  for (const listener of listeners) listener();
}
system.addEventListener("change", apply);
apply();

export function setTheme(next: Theme): void {
  theme = next;
  if (next === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, next);
  apply();
}

function subscribe(changed: () => void): () => void {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, () => theme);
}

/** The theme that is shown, for what draws its own pixels. */
export function useShownTheme(): "dark" | "light" {
  return useSyncExternalStore(subscribe, () =>
    document.documentElement.dataset.theme === "light" ? "light" : "dark",
  );
}
