import { type NavigateOptions, useRouter } from "@tanstack/react-router";
import { useCallback } from "react";
import type { FileRoutesByTo } from "../routeTree.gen";

/**
 * How a page changes what its address says of it. It does nothing once somebody is on the way to another page, whose code
 * may still be loading: a search box that settles, or an answer that comes late, must not call them back.
 */
export function useGo<Search extends object>(
  to: keyof FileRoutesByTo,
  replace = false,
): (next: Search) => void {
  const router = useRouter();
  return useCallback(
    (next: Search) => {
      const options: NavigateOptions = { to, search: next as never, replace };
      if (router.latestLocation.pathname === to) void router.navigate(options);
    },
    [router, to, replace],
  );
}
