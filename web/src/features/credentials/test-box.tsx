import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleX } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { ApiError, http, ifMatch, take } from "#/api/client";
import type { Credential, CredentialKindDescription, CredentialTest } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { PlainForm } from "#/ui/form";
import { toast } from "#/ui/toast";
import { portAt, singleHosts } from "./fields";
import { credentialQuery, credentialsKey, usesQuery } from "./queries";

interface Props {
  kind: CredentialKindDescription;
  credential: Credential;
  writes: boolean;
  /** Somebody wants to trust this fingerprint, and must type the secret again. */
  onTrust: (fingerprint: string) => void;
}

/** Tries the credential at one of its hosts, and says there what came of it. */
export function TestBox({ kind, credential, writes, onTrust }: Props) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const known = useId();
  const hosts = singleHosts(credential);
  const [host, setHost] = useState(hosts[0] ?? "");
  const [port, setPort] = useState(portAt(kind, credential, host));
  const [path, setPath] = useState("/");
  const { id } = credential;
  const test = useMutation({
    mutationFn: () =>
      take(
        http.POST("/api/v1/credentials/{id}/test", {
          params: { path: { id } },
          body: {
            host: host.trim(),
            ...(port.trim() ? { port: Number(port) } : {}),
            ...(kind.takes_path ? { path: path.trim() } : {}),
          },
        }),
      ),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: usesQuery(id).queryKey });
      void client.invalidateQueries({ queryKey: [...credentialsKey, "list"] });
    },
  });
  const trust = useMutation({
    mutationFn: (fingerprint: string) =>
      take(
        http.PATCH("/api/v1/credentials/{id}", {
          params: { path: { id } },
          headers: ifMatch(credential.version),
          body: { host_key_sha256: fingerprint },
        }),
      ),
    onSuccess: (saved) => {
      client.setQueryData(credentialQuery(id).queryKey, saved);
      toast(t("credential.saved", { name: saved.name }));
      test.mutate();
    },
  });
  const fields = test.error instanceof ApiError ? test.error.fields : {};
  const placed = ["host", "port", "path"].some((name) => fields[name]);
  // Before its first host key nothing was ever sent, so trusting one sends the secret to nobody new.
  const free = kind.pin === "host_key" && !credential.host_key_sha256;

  function submit(event: FormEvent): void {
    event.preventDefault();
    test.mutate();
  }
  return (
    <PlainForm onSubmit={submit} className="flex flex-col gap-3">
      <div className="flex gap-2">
        <TextField
          label={t("credential.testHost")}
          className="flex-1"
          mono
          list={known}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          value={host}
          error={fields.host}
          onChange={(event) => {
            setHost(event.target.value);
            if (hosts.includes(event.target.value)) setPort(portAt(kind, credential, event.target.value));
          }}
        />
        <datalist id={known}>
          {hosts.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
        <TextField
          label={t("credential.testPort")}
          className="w-20"
          inputMode="numeric"
          value={port}
          error={fields.port}
          onChange={(event) => setPort(event.target.value.replace(/\D/g, "").slice(0, 5))}
        />
      </div>
      {kind.takes_path ? (
        <TextField
          label={t("credential.testPath")}
          help={t("credential.testPathHelp")}
          mono
          spellCheck={false}
          value={path}
          error={fields.path}
          onChange={(event) => setPath(event.target.value)}
        />
      ) : null}
      <div>
        <Button type="submit" busy={test.isPending || trust.isPending} disabled={host.trim() === ""}>
          {t(test.isPending ? "credential.testing" : "credential.test")}
        </Button>
      </div>
      {(test.error && !placed) || trust.error ? <ErrorBox error={trust.error ?? test.error} /> : null}
      <div role="status">
        {test.data && !test.isPending ? (
          <Result
            result={test.data}
            pin={kind.pin}
            onTrust={writes ? (shown) => (free ? trust.mutate(shown) : onTrust(shown)) : undefined}
          />
        ) : null}
      </div>
    </PlainForm>
  );
}

function Result({
  result,
  pin,
  onTrust,
}: {
  result: CredentialTest;
  pin: CredentialKindDescription["pin"];
  onTrust?: (fingerprint: string) => void;
}) {
  const { t } = useTranslation();
  const Icon = result.ok ? CircleCheck : CircleX;
  const { presented } = result;
  return (
    <div className="flex gap-2">
      <Icon
        aria-hidden
        className={`mt-0.5 size-4 shrink-0 ${result.ok ? "text-up-text" : "text-down-text"}`}
      />
      <div className="flex min-w-0 flex-col gap-2">
        <p className="break-words">{result.ok ? t("credential.testOk") : result.reason}</p>
        {result.detail.length > 0 ? (
          <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5">
            {result.detail.map((fact) => (
              <div key={fact.name} className="contents">
                <dt className="text-muted">{fact.name}</dt>
                <dd className="break-words">{fact.value}</dd>
              </div>
            ))}
          </dl>
        ) : null}
        {presented && pin ? (
          <>
            <p className="mono text-xs break-all text-muted select-all">{presented}</p>
            {onTrust ? (
              <div>
                <Button onClick={() => onTrust(presented)}>{t(`credential.trust.${pin}`)}</Button>
              </div>
            ) : null}
          </>
        ) : null}
      </div>
    </div>
  );
}
