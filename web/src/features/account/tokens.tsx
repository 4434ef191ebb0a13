import { useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, take } from "#/api/client";
import type { Token } from "#/api/schema";
import { useAuth } from "#/api/session";
import { placeErrors } from "#/domain/form-errors";
import { permissions, scopeKey } from "#/domain/scopes";
import { useTranslation } from "#/i18n";
import { Button, IconButton } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { Dialog } from "#/ui/dialog";
import { Badge, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Checkbox, SelectField, TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { SecretText } from "#/ui/secret";
import { Day, Time } from "#/ui/time";
import { tokensQuery } from "./queries";

export function Tokens({ open, onOpen }: { open: boolean; onOpen: (open: boolean) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const tokens = useQuery(tokensQuery);
  const [ending, setEnding] = useState<Token | null>(null);
  if (tokens.error) return <ErrorBox error={tokens.error} retry={() => void tokens.refetch()} />;
  if (!tokens.data) return <SkeletonLines lines={2} />;
  return (
    <>
      {tokens.data.length > 0 ? (
        <ul className="mb-3 divide-y divide-line border-y border-line">
          {tokens.data.map((token) => (
            <TokenRow key={token.id} token={token} onEnd={() => setEnding(token)} />
          ))}
        </ul>
      ) : null}
      <Button onClick={() => onOpen(true)}>
        <Plus aria-hidden className="size-4" />
        {t("token.add")}
      </Button>
      {open ? <NewToken onClose={() => onOpen(false)} /> : null}
      {ending ? (
        <Confirm
          title={t("token.deleteOf", { name: ending.name })}
          text={t("token.deleteText")}
          action={t("common.delete")}
          work={async () => {
            await http.DELETE("/api/v1/tokens/{id}", { params: { path: { id: ending.id } } });
            await client.invalidateQueries({ queryKey: tokensQuery.queryKey });
          }}
          onClose={() => setEnding(null)}
        />
      ) : null}
    </>
  );
}

function TokenRow({ token, onEnd }: { token: Token; onEnd: () => void }) {
  const { t } = useTranslation();
  const expired = token.expires_at !== null && new Date(token.expires_at).getTime() <= Date.now();
  return (
    <li className="flex items-center gap-3 py-2.5">
      <KeyRound aria-hidden className="size-5 shrink-0 self-start text-muted" strokeWidth={1.5} />
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <span className="font-medium wrap-anywhere">{token.name}</span>
          <span className="mono text-muted">{token.hint}…</span>
          {expired ? <Badge tone="down">{t("token.expired")}</Badge> : null}
        </p>
        <ul aria-label={t("token.scopes")} className="my-1 flex flex-wrap gap-1">
          {token.scopes.map((scope) => (
            <li key={scope} className="flex">
              <Badge>
                <ScopeName scope={scope} />
              </Badge>
            </li>
          ))}
        </ul>
        <p className="flex flex-wrap gap-x-3 text-xs text-muted">
          <span>
            {token.expires_at ? (
              <>
                {t("token.until")} <Day at={token.expires_at} />
              </>
            ) : (
              t("token.forEver")
            )}
          </span>
          <span>
            {token.last_used_at ? (
              <>
                {t("token.used")} <Time at={token.last_used_at} />
                {token.last_used_ip ? <span className="mono"> {token.last_used_ip}</span> : null}
              </>
            ) : (
              t("token.neverUsed")
            )}
          </span>
        </p>
      </div>
      <IconButton label={t("token.deleteOf", { name: token.name })} onClick={onEnd}>
        <Trash2 aria-hidden className="size-4" />
      </IconButton>
    </li>
  );
}

/** What a permission is called; one that this page does not know yet is shown as it is. */
function ScopeName({ scope }: { scope: string }) {
  const { t } = useTranslation();
  const key = scopeKey(scope);
  return key ? t(key) : <code className="mono">{scope}</code>;
}

const expiries = ["7", "30", "90", "365", "never"] as const;

function NewToken({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const offered = permissions.filter(can);
  const client = useQueryClient();
  const [error, setError] = useState<unknown>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const form = useForm({
    defaultValues: {
      name: "",
      scopes: offered.filter((one) => one === "inventory:read"),
      expiry: "90",
    },
  });
  const { errors, isDirty, isSubmitting } = form.formState;
  const submit = form.handleSubmit(async ({ name, scopes, expiry }) => {
    setError(null);
    try {
      const body = { name, scopes, expires_in_days: expiry === "never" ? null : Number(expiry) };
      const made = await take(http.POST("/api/v1/tokens", { body }));
      setSecret(made.secret);
      void client.invalidateQueries({ queryKey: tokensQuery.queryKey });
    } catch (problem) {
      setError(placeErrors(problem, ["name", "scopes", "expiry"], form.setError));
    }
  });

  if (secret)
    return (
      <Dialog title={t("token.made")} description={t("token.madeText")} open onClose={onClose}>
        <SecretText label={t("token.secret")} text={secret} />
        <Button look="primary" className="mt-4" onClick={onClose}>
          {t("secret.done")}
        </Button>
      </Dialog>
    );
  return (
    <Dialog title={t("token.add")} open onClose={onClose}>
      <Form changed={isDirty} onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        <TextField
          label={t("token.name")}
          help={t("token.nameHelp")}
          autoFocus
          maxLength={64}
          error={errors.name?.message}
          {...form.register("name", { validate: (value) => value.trim() !== "" || t("form.required") })}
        />
        <fieldset className="flex flex-col gap-2">
          <legend className="mb-1.5 text-xs font-medium text-muted">{t("token.scopes")}</legend>
          {offered.map((scope) => (
            <Checkbox
              key={scope}
              value={scope}
              label={<ScopeName scope={scope} />}
              {...form.register("scopes", {
                validate: (chosen) => chosen.length > 0 || t("token.scopesNeeded"),
              })}
            />
          ))}
          {errors.scopes ? (
            <p role="alert" className="text-xs text-down-text">
              {errors.scopes.message}
            </p>
          ) : null}
        </fieldset>
        <SelectField
          label={t("token.expiry")}
          className="max-w-48"
          error={errors.expiry?.message}
          {...form.register("expiry")}
        >
          {expiries.map((days) => (
            <option key={days} value={days}>
              {days === "never" ? t("token.never") : t("token.days", { count: Number(days) })}
            </option>
          ))}
        </SelectField>
        <div className="flex gap-2">
          <Button type="submit" look="primary" busy={isSubmitting}>
            {t("token.create")}
          </Button>
          <Cancel onClick={onClose} />
        </div>
      </Form>
    </Dialog>
  );
}
