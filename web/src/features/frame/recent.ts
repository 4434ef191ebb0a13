/** What was chosen in the palette last, in this browser and by this user. Bounded, and gone with the session. */
import type { AssetKind } from "#/api/schema";

const KEY = "cb.recent";
const MOST = 8;

/** `asset`: what its row shows, so that it needs no request. */
export interface Recent {
  id: string;
  asset?: { name: string; kind: AssetKind; role: string | null };
}

function isRecent(one: unknown): one is Recent {
  return typeof one === "object" && one !== null && typeof (one as Recent).id === "string";
}

export function recents(user: string): readonly Recent[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const { of, items } = kept as { of?: string; items?: unknown };
    return of === user && Array.isArray(items) ? items.filter(isRecent).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

export function remember(user: string, one: Recent): void {
  const items = [one, ...recents(user).filter(({ id }) => id !== one.id)].slice(0, MOST);
  localStorage.setItem(KEY, JSON.stringify({ of: user, items }));
}

export function forgetRecents(): void {
  localStorage.removeItem(KEY);
}
