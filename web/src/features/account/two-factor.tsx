import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ShieldCheck, ShieldOff } from "lucide-react";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import type { TotpEnrolment } from "#/api/schema";
import { continueSession } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { ErrorBox, Skeleton, SkeletonLines } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { Later, later } from "#/ui/later";
import { SecretText } from "#/ui/secret";
import { Day } from "#/ui/time";
import { toast } from "#/ui/toast";
import { Codes } from "./codes";
import { passkeysQuery, sessionsQuery, totpQuery } from "./queries";

const Qr = later(() => import("./qr"));

export function TwoFactor() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const state = useQuery(totpQuery);
  const passkeys = useQuery(passkeysQuery);
  const [enrolment, setEnrolment] = useState<TotpEnrolment | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const [turningOff, setTurningOff] = useState(false);
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
  const { enabled, enabled_at } = state.data;
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
          <div className="flex flex-wrap gap-2">
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
      {turningOff ? (
        <Confirm
          title={t("account.turnOffTitle")}
          text={t(passkeys.data?.length ? "account.turnOffOneText" : "account.turnOffText")}
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
  const { errors, isDirty, isSubmitting } = form.formState;
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
    <Form changed={isDirty} onSubmit={submit} className="flex flex-col gap-4">
      <p>{t("account.scan")}</p>
      <Later
        part={Qr}
        fallback={<Skeleton className="size-52" />}
        props={{ text: enrolment.uri, label: t("account.qr") }}
      />
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
        <Cancel onClick={onCancel} />
      </div>
    </Form>
  );
}
