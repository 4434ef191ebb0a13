import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, Outlet } from "@tanstack/react-router";
import { NotFound } from "#/ui/no-page";
import { Toaster } from "#/ui/toast";

export const Route = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  staticData: { needs: null },
  component: () => (
    <>
      <Outlet />
      <Toaster />
    </>
  ),
  notFoundComponent: () => (
    <main>
      <NotFound />
    </main>
  ),
});
