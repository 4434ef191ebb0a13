import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, Link, Outlet } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { buttonClass } from "#/ui/button";
import { Empty } from "#/ui/feedback";
import { Toaster } from "#/ui/toast";

export const Route = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  component: () => (
    <>
      <Outlet />
      <Toaster />
    </>
  ),
  notFoundComponent: NotFound,
});

function NotFound() {
  const { t } = useTranslation();
  return (
    <main>
      <Empty
        title={t("notFound.title")}
        action={
          <Link to="/map" className={buttonClass("primary")}>
            {t("notFound.back")}
          </Link>
        }
      >
        {t("notFound.text")}
      </Empty>
    </main>
  );
}
