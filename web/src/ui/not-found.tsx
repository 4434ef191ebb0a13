import { Link } from "@tanstack/react-router";
import { useTranslation } from "#/i18n";
import { buttonClass } from "./button";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <div className="flex flex-col items-center gap-3 overflow-y-auto px-6 py-[18vh] text-center">
      <h1 className="text-base font-medium">{t("notFound.title")}</h1>
      <p className="text-muted">{t("notFound.text")}</p>
      <Link to="/map" className={buttonClass("primary")}>
        {t("notFound.back")}
      </Link>
    </div>
  );
}
