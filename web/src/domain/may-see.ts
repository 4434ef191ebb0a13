/** Which pages one may see. Each route says what it needs (`staticData.needs`); links to a page, and the page itself, ask here. */
import { useRouter } from "@tanstack/react-router";
import { useCallback } from "react";
import { type Permission, useAuth } from "#/api/session";
import type { FileRoutesByTo } from "../routeTree.gen";

declare module "@tanstack/react-router" {
  interface StaticDataRouteOption {
    /** Without this permission the page is not shown. Null: everybody may see it. */
    needs: Permission | null;
  }
}

export function useMaySee(): (page: keyof FileRoutesByTo) => boolean {
  const router = useRouter();
  const { can } = useAuth();
  return useCallback(
    (page) => {
      const needs = router.routesByPath[page].options.staticData?.needs;
      return !needs || can(needs);
    },
    [router, can],
  );
}
