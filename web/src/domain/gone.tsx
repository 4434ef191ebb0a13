/** In place of a panel whose thing is not there: deleted while one looked at it, or by the time somebody follows a link to it. */
import { Link } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";
import { ApiError } from "#/api/client";
import { useAuth } from "#/api/session";
import { useTranslation } from "#/i18n";
import { Button, buttonClass } from "#/ui/button";
import { Empty } from "#/ui/feedback";
import { hasUnsaved } from "#/ui/guard";
import { Panel } from "#/ui/panel";
import { NOTHING } from "./nothing";

/** What has a panel of its own. */
type GoneKind =
  | "asset"
  | "network"
  | "finding"
  | "credential"
  | "webhook"
  | "channel"
  | "hook"
  | "provider"
  | "user";

/** Whether the server says that it has no such thing. What somebody types about it stays on the screen. */
export function isGone({ error, data }: { error: unknown; data?: unknown }): boolean {
  return error instanceof ApiError && error.status === 404 && !(data && hasUnsaved());
}

interface GoneProps {
  kind: GoneKind;
  id: string;
  /** Its name, when it was there a moment ago. */
  name?: string;
  onClose: () => void;
}

export function Gone({ kind, id, name, onClose }: GoneProps) {
  const { t } = useTranslation();
  const { can } = useAuth();
  return (
    <Panel title={name ?? t(`gone.${kind}.title`)} onClose={onClose}>
      <div role="status">
        <Empty
          icon={<Trash2 aria-hidden />}
          title={name ? t("gone.now", { name }) : t(`gone.${kind}.link`)}
          action={
            <>
              <Button look="primary" onClick={onClose}>
                {t("common.close")}
              </Button>
              {/* What an address that cannot be means is not in the log. */}
              {can("audit:read") && id !== NOTHING ? (
                <Link to="/audit" search={{ entity: id }} className={buttonClass()}>
                  {t("gone.who")}
                </Link>
              ) : null}
            </>
          }
        >
          {name ? null : <p>{t("gone.link")}</p>}
          <p>{t(`gone.${kind}.text`)}</p>
        </Empty>
      </div>
    </Panel>
  );
}
