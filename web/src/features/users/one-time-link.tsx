import type { LinkOut } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { SecretText } from "#/ui/secret";
import { Day } from "#/ui/time";

/** The server knows only the path; which name it is reached by is known here. */
export function OneTimeLink({ label, text, link }: { label: string; text: string; link: LinkOut }) {
  const { t } = useTranslation();
  return (
    <div className="flex flex-col gap-3">
      <p>{text}</p>
      <SecretText label={label} text={location.origin + link.path} />
      <p className="text-muted">
        {t("users.linkUntil")} <Day at={link.expires_at} />
      </p>
    </div>
  );
}
