import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useState } from "react";
import { http, take } from "#/api/client";
import { useAuth } from "#/api/session";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { Dialog } from "#/ui/dialog";
import { downloadText } from "#/ui/download";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Checkbox } from "#/ui/field";
import { CopyButton } from "#/ui/secret";
import { totpQuery } from "./queries";

/** From here on down one should make new ones. */
const FEW_CODES = 3;

/** How many are left, and new ones. */
export function RecoveryCodes() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const state = useQuery(totpQuery);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const [renewing, setRenewing] = useState(false);
  if (state.error) return <ErrorBox error={state.error} retry={() => void state.refetch()} />;
  if (!state.data) return <SkeletonLines lines={2} />;
  const left = state.data.recovery_codes_left;
  return (
    <div className="flex flex-col items-start gap-3">
      <p className={left <= FEW_CODES ? "text-degraded-text" : "text-muted"}>
        {t("account.codesLeft", { count: left })} {left <= FEW_CODES ? t("account.codesFew") : null}
      </p>
      <Button onClick={() => setRenewing(true)}>{t("account.renewCodes")}</Button>
      {codes ? <Codes codes={codes} onClose={() => setCodes(null)} /> : null}
      {renewing ? (
        <Confirm
          title={t("account.renewCodes")}
          text={t("account.renewText")}
          action={t("account.renewCodes")}
          work={async () => {
            setCodes((await take(http.POST("/api/v1/auth/recovery-codes", {}))).recovery_codes);
            void client.invalidateQueries({ queryKey: totpQuery.queryKey });
          }}
          onClose={() => setRenewing(false)}
        />
      ) : null}
    </div>
  );
}

/** They are shown this once, so that leaving asks for a word that they are kept. */
export function Codes({ codes, onClose }: { codes: readonly string[]; onClose: () => void }) {
  const { t } = useTranslation();
  const { me } = useAuth();
  const [kept, setKept] = useState(false);
  const [hurried, setHurried] = useState(false);
  const text = codes.join("\n");
  return (
    <Dialog
      title={t("account.codes")}
      description={t("account.codesText")}
      open
      onClose={() => (kept ? onClose() : setHurried(true))}
    >
      <ul
        aria-label={t("account.codes")}
        className="mono grid grid-cols-2 gap-x-4 gap-y-1.5 rounded-md bg-sunken p-3 select-text max-sm:grid-cols-1"
      >
        {codes.map((code) => (
          <li key={code} className="text-center">
            {code}
          </li>
        ))}
      </ul>
      <div className="mt-3 flex flex-wrap items-center gap-2">
        <CopyButton text={text} label={t("secret.copy")} />
        <Button
          onClick={() =>
            downloadText(
              "circuit-breaker-recovery-codes.txt",
              `${t("account.codesFile", { name: me.user.username, host: location.host })}\n\n${text}\n`,
            )
          }
        >
          <Download aria-hidden className="size-4" />
          {t("secret.download")}
        </Button>
      </div>
      <Checkbox
        className="mt-4"
        label={t("account.codesKept")}
        checked={kept}
        onChange={(event) => setKept(event.target.checked)}
      />
      {hurried && !kept ? (
        <p role="alert" className="mt-2 text-down-text">
          {t("account.codesHurried")}
        </p>
      ) : null}
      <Button look="primary" className="mt-3" disabled={!kept} onClick={onClose}>
        {t("secret.done")}
      </Button>
    </Dialog>
  );
}
