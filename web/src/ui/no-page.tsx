import { Link } from "@tanstack/react-router";
import { useTranslation } from "#/i18n";
import { buttonClass } from "./button";

interface Words {
  title: string;
  text: string;
}

/** In place of a page that cannot be shown, with the way on. */
function NoPage({ title, text }: Words) {
  const { t } = useTranslation();
  return (
    <div className="flex flex-col items-center gap-3 overflow-y-auto px-6 py-[18vh] text-center">
      <h1 className="text-base font-medium">{title}</h1>
      <p className="max-w-md text-muted">{text}</p>
      <Link to="/map" className={buttonClass("primary")}>
        {t("notFound.back")}
      </Link>
    </div>
  );
}

export function NotFound() {
  const { t } = useTranslation();
  return <NoPage title={t("notFound.title")} text={t("notFound.text")} />;
}

/** For a page that the role may not see. */
export function NoAccess() {
  const { t } = useTranslation();
  return <NoPage title={t("noAccess.title")} text={t("noAccess.text")} />;
}
