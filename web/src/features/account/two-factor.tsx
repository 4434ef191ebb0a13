import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Download, ShieldCheck, ShieldOff } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import type { TotpEnrolment } from "#/api/schema";
import { continueSession, useAuth } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { downloadText } from "#/ui/csv";
import { Dialog } from "#/ui/dialog";
import { ErrorBox, Skeleton, SkeletonLines } from "#/ui/feedback";
import { Checkbox, TextField } from "#/ui/field";
import { CopyButton, SecretText } from "#/ui/secret";
import { Day } from "#/ui/time";
import { toast } from "#/ui/toast";
import { sessionsQuery, totpQuery } from "./queries";

const Qr = lazy(() => import("./qr"));
/** From here on down one should make new ones. */
const FEW_CODES = 3;

export function TwoFactor() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const state = useQuery(totpQuery);
  const [enrolment, setEnrolment] = useState<TotpEnrolment | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const [turningOff, setTurningOff] = useState(false);
  const [renewing, setRenewing] = useState(false);
  const begin = useMutation({
    mutationFn: () => take(http.POST("/api/v1/auth/totp", {})),
    onSuccess: setEnrolment,
    gcTime: 0,
  });
  const refresh = () => {
    void client.invalidateQueries({ queryKey: totpQuery.queryKey });
    void client.invalidateQueries({ queryKey: sessionsQuery.queryKey });
  };

  if (state.error) return <ErrorBox error={state.error} retry={() => void state.refetch()} />;
  if (!state.data) return <SkeletonLines lines={2} />;
  const { enabled, enabled_at, recovery_codes_left: left } = state.data;
  return (
    <>
      {enabled ? (
        <div className="flex flex-col gap-3">
          <p className="flex items-center gap-2">
            <ShieldCheck aria-hidden className="size-4 shrink-0 text-up-text" />
            <span>
              {t("account.on")} {enabled_at ? <Day at={enabled_at} /> : null}
            </span>
          </p>
          <p className={left <= FEW_CODES ? "text-degraded-text" : "text-muted"}>
            {t("account.codesLeft", { count: left })} {left <= FEW_CODES ? t("account.codesFew") : null}
          </p>
          <div className="flex flex-wrap gap-2">
            <Button onClick={() => setRenewing(true)}>{t("account.renewCodes")}</Button>
            <Button look="danger" onClick={() => setTurningOff(true)}>
              {t("account.turnOff")}
            </Button>
          </div>
        </div>
      ) : enrolment ? (
        <Enrol
          enrolment={enrolment}
          onCancel={() => setEnrolment(null)}
          onDone={(fresh) => {
            setCodes(fresh);
            setEnrolment(null);
            refresh();
          }}
        />
      ) : (
        <div className="flex flex-col items-start gap-3">
          <p className="flex items-center gap-2">
            <ShieldOff aria-hidden className="size-4 shrink-0 text-muted" />
            {t("account.off")}
          </p>
          {begin.error ? <ErrorBox error={begin.error} /> : null}
          <Button busy={begin.isPending} onClick={() => begin.mutate()}>
            {t("account.turnOn")}
          </Button>
        </div>
      )}
      {codes ? <Codes codes={codes} onClose={() => setCodes(null)} /> : null}
      {renewing ? (
        <Confirm
          title={t("account.renewCodes")}
          text={t("account.renewText")}
          action={t("account.renewCodes")}
          work={async () => {
            setCodes((await take(http.POST("/api/v1/auth/recovery-codes", {}))).recovery_codes);
            refresh();
          }}
          onClose={() => setRenewing(false)}
        />
      ) : null}
      {turningOff ? (
        <Confirm
          title={t("account.turnOffTitle")}
          text={t("account.turnOffText")}
          action={t("account.turnOff")}
          work={async () => {
            continueSession(client, await take(http.DELETE("/api/v1/auth/totp", {})));
            toast(t("account.turnedOff"));
            refresh();
          }}
          onClose={() => setTurningOff(false)}
        />
      ) : null}
    </>
  );
}

function Enrol({
  enrolment,
  onCancel,
  onDone,
}: {
  enrolment: TotpEnrolment;
  onCancel: () => void;
  onDone: (codes: readonly string[]) => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const form = useForm({ defaultValues: { code: "" } });
  const { errors, isSubmitting } = form.formState;
  const submit = form.handleSubmit(async ({ code }) => {
    setError(null);
    try {
      const answer = await take(
        http.POST("/api/v1/auth/totp/confirm", { body: { code: code.replace(/\s/g, "") } }),
      );
      continueSession(client, answer);
      onDone(answer.recovery_codes);
    } catch (problem) {
      setError(placeErrors(problem, ["code"], form.setError));
      form.resetField("code", { keepError: true });
    }
  });
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4">
      <p>{t("account.scan")}</p>
      <Suspense fallback={<Skeleton className="size-52" />}>
        <Qr text={enrolment.uri} label={t("account.qr")} />
      </Suspense>
      <div className="max-w-md">
        <SecretText label={t("account.secret")} text={enrolment.secret} />
      </div>
      {error ? <ErrorBox error={error} /> : null}
      <TextField
        label={t("account.confirmCode")}
        className="max-w-48"
        mono
        inputMode="numeric"
        autoComplete="one-time-code"
        autoFocus
        maxLength={12}
        error={errors.code?.message}
        {...form.register("code", { required: t("auth.codeNeeded") })}
      />
      <div className="flex gap-2">
        <Button type="submit" look="primary" busy={isSubmitting}>
          {t("account.turnOn")}
        </Button>
        <Button onClick={onCancel}>{t("common.cancel")}</Button>
      </div>
    </form>
  );
}

/** They are shown this once, so that leaving asks for a word that they are kept. */
function Codes({ codes, onClose }: { codes: readonly string[]; onClose: () => void }) {
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
