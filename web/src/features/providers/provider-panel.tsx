import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleX } from "lucide-react";
import { useState } from "react";
import { http, ifMatch, take } from "#/api/client";
import type { OidcProvider, ProviderTest } from "#/api/schema";
import { methodsQuery } from "#/api/session";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { ErrorBox } from "#/ui/feedback";
import { Cancel } from "#/ui/form";
import { FromVersion } from "#/ui/guard";
import { Panel, Section } from "#/ui/panel";
import { SecretText } from "#/ui/secret";
import { toast } from "#/ui/toast";
import { ProviderFields } from "./provider-form";
import { providersQuery } from "./queries";

interface Props {
  provider?: OidcProvider;
  writes: boolean;
  onClose: () => void;
  onSaved: (provider: OidcProvider) => void;
}

export function ProviderPanel({ provider, writes, onClose, onSaved }: Props) {
  const { t } = useTranslation();
  const [busy, setBusy] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const fields = (held?: OidcProvider, saved?: (answer: OidcProvider) => void) => (
    <ProviderFields
      id="provider-form"
      provider={held}
      writes={writes}
      onBusy={setBusy}
      onSaved={(answer) => {
        onSaved(answer);
        saved?.(answer);
      }}
    />
  );
  return (
    <Panel
      title={provider?.name ?? t("provider.add")}
      onClose={onClose}
      footer={
        writes ? (
          <>
            <Button look="primary" type="submit" form="provider-form" busy={busy}>
              {t("common.save")}
            </Button>
            <Cancel onClick={onClose} />
            {provider ? (
              <Button look="danger" className="ml-auto" onClick={() => setDeleting(true)}>
                {t("common.delete")}
              </Button>
            ) : null}
          </>
        ) : undefined
      }
    >
      {provider ? (
        <Section title={t("provider.connection")}>
          <div className="flex flex-col gap-4">
            <SecretText
              label={t("provider.redirectUri")}
              help={t("provider.redirectUriHelp")}
              text={provider.redirect_uri}
            />
            {writes ? <Test provider={provider} writes={writes} /> : null}
          </div>
        </Section>
      ) : null}
      <Section title={t("provider.one")}>
        {provider ? <FromVersion of={provider}>{fields}</FromVersion> : fields()}
      </Section>
      {deleting && provider ? (
        <Delete provider={provider} onClose={() => setDeleting(false)} onDeleted={onClose} />
      ) : null}
    </Panel>
  );
}

function Test({ provider: { id, version, name }, writes }: { provider: OidcProvider; writes: boolean }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const test = useMutation({
    mutationFn: () => take(http.POST("/api/v1/oidc-providers/{id}/test", { params: { path: { id } } })),
  });
  const respell = useMutation({
    mutationFn: (issuer: string) =>
      take(
        http.PATCH("/api/v1/oidc-providers/{id}", {
          params: { path: { id } },
          headers: ifMatch(version),
          body: { issuer },
        }),
      ),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: providersQuery.queryKey });
      toast(t("provider.saved", { name }));
      test.mutate();
    },
  });
  const own = test.isPending ? null : test.data?.own_spelling;
  return (
    <div className="flex flex-col items-start gap-2">
      <Button busy={test.isPending} onClick={() => test.mutate()}>
        {t("provider.test")}
      </Button>
      {test.error ? <ErrorBox error={test.error} className="w-full" /> : null}
      <div role="status">{test.data && !test.isPending ? <Result result={test.data} /> : null}</div>
      {own && writes ? (
        <Button busy={respell.isPending} onClick={() => respell.mutate(own)}>
          {t("provider.useSpelling", { issuer: own })}
        </Button>
      ) : null}
      {respell.error ? <ErrorBox error={respell.error} className="w-full" /> : null}
    </div>
  );
}

function Result({ result }: { result: ProviderTest }) {
  const { t } = useTranslation();
  const Icon = result.ok ? CircleCheck : CircleX;
  return (
    <div className="flex gap-2">
      <Icon
        aria-hidden
        className={`mt-0.5 size-4 shrink-0 ${result.ok ? "text-up-text" : "text-down-text"}`}
      />
      <div className="min-w-0">
        <p>{result.ok ? t("provider.testOk") : (result.reason ?? t("provider.testFailed"))}</p>
        {result.authorization_endpoint ? (
          <p className="mono break-all text-muted">{result.authorization_endpoint}</p>
        ) : null}
      </div>
    </div>
  );
}

function Delete({
  provider: { id, name, version },
  onClose,
  onDeleted,
}: {
  provider: OidcProvider;
  onClose: () => void;
  onDeleted: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  return (
    <Confirm
      title={t("common.deleteOf", { name })}
      text={t("provider.deleteText")}
      action={t("common.delete")}
      word={name}
      work={async () => {
        await http.DELETE("/api/v1/oidc-providers/{id}", {
          params: { path: { id } },
          headers: ifMatch(version),
        });
        toast(t("common.deleted", { name }));
        onDeleted();
        await client.invalidateQueries({ queryKey: providersQuery.queryKey });
        void client.invalidateQueries({ queryKey: methodsQuery.queryKey });
      }}
      onClose={onClose}
    />
  );
}
