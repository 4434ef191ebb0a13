/**
 * What this user has visited or chosen in the palette last, in this browser: pages, assets, networks and actions. Bounded, and gone
 * with the session.
 */
import { useQuery } from "@tanstack/react-query";
import { useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { ApiError } from "#/api/client";
import { assetQuery } from "#/api/queries";
import type { AssetKind } from "#/api/schema";
import { pages, subpages } from "./pages";

const KEY = "cb.recent";
const MOST = 9;
/** Who walks through a list with the keyboard has not visited every row of it. */
const STAYED_MS = 1_000;

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

function keep(user: string, items: readonly Recent[]): void {
  localStorage.setItem(KEY, JSON.stringify({ of: user, items: items.slice(0, MOST) }));
}

export function remember(user: string, one: Recent): void {
  keep(user, [one, ...recents(user).filter(({ id }) => id !== one.id)]);
}

function forget(user: string, gone: string): void {
  const kept = recents(user);
  const rest = kept.filter(({ id }) => id !== gone);
  if (rest.length < kept.length) keep(user, rest);
}

export function forgetRecents(): void {
  localStorage.removeItem(KEY);
}

/** The line of the palette that leads to a page; the account is an action. */
function lineOf(pathname: string): string | undefined {
  if (pathname === "/account") return "account";
  const page =
    subpages.find(({ to }) => pathname === to) ?? pages.find(({ to }) => `${pathname}/`.startsWith(`${to}/`));
  return page && `page ${page.key}`;
}

/** What the address shows: a page, and in its panel maybe an asset or a network. */
export function useHere(): { page?: string; asset?: string; network?: string } {
  return useRouterState({
    select: ({ location }) => {
      const { pathname } = location;
      const page = lineOf(pathname);
      const { selected } = location.search as { selected?: unknown };
      if (typeof selected !== "string") return { page };
      if (pathname === "/map" || pathname === "/inventory") return { page, asset: selected };
      return pathname === "/networks" ? { page, network: selected } : { page };
    },
    structuralSharing: true,
  });
}

/** Remembers each page, asset and network on which `user` stays for a moment. */
export function useRemember(user: string): void {
  const { page, asset, network } = useHere();
  const { data, error } = useQuery({ ...assetQuery(asset ?? ""), enabled: asset !== undefined });
  const named = asset !== undefined && data?.id === asset ? data : undefined;
  const gone = asset !== undefined && error instanceof ApiError && error.status === 404;
  useEffect(() => {
    if (!page) return;
    const timer = setTimeout(() => remember(user, { id: page }), STAYED_MS);
    return () => clearTimeout(timer);
  }, [user, page]);
  useEffect(() => {
    if (!network || network === "new") return;
    const timer = setTimeout(() => remember(user, { id: `network ${network}` }), STAYED_MS);
    return () => clearTimeout(timer);
  }, [user, network]);
  const { name, kind, role = null } = named ?? {};
  useEffect(() => {
    if (!asset || name === undefined || kind === undefined) return;
    const timer = setTimeout(() => remember(user, { id: asset, asset: { name, kind, role } }), STAYED_MS);
    return () => clearTimeout(timer);
  }, [user, asset, name, kind, role]);
  useEffect(() => {
    if (asset && gone) forget(user, asset);
  }, [user, asset, gone]);
}
