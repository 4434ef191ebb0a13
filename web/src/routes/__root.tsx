import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, Link, Outlet } from "@tanstack/react-router";
import { useTranslation } from "#/i18n";
import { buttonClass } from "#/ui/button";
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
      <div className="flex flex-col items-center gap-3 px-6 py-[18vh] text-center">
        <h1 className="text-base font-medium">{t("notFound.title")}</h1>
        <p className="text-muted">{t("notFound.text")}</p>
        <Link to="/map" className={buttonClass("primary")}>
          {t("notFound.back")}
        </Link>
      </div>
    </main>
  );
}
