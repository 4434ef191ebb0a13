import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { http, ifMatch } from "#/api/client";
import type { Credential, CredentialKind, CredentialKindDescription } from "#/api/schema";
import { useAuth } from "#/api/session";
import { deleteForGood } from "#/domain/deletion";
import { Gone, isGone } from "#/domain/gone";
import { useMaySee } from "#/domain/may-see";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { SelectField } from "#/ui/field";
import { Cancel } from "#/ui/form";
import { FromVersion, useLeave } from "#/ui/guard";
import { Panel, Section } from "#/ui/panel";
import { toast } from "#/ui/toast";
import { CredentialFields } from "./credential-form";
import { kindOf } from "./fields";
import { credentialQuery, credentialsKey, kindsQuery } from "./queries";
import { TestBox } from "./test-box";
import { Uses } from "./uses";

const FORM = "credential-form";

export function NewCredentialPanel({
  onClose,
  onSaved,
}: {
  onClose: () => void;
  onSaved: (credential: Credential) => void;
}) {
  const { t } = useTranslation();
  const kinds = useQuery(kindsQuery);
  const [busy, setBusy] = useState(false);
  const [chosen, setChosen] = useState<CredentialKind>("snmp_v2c");
  const kind = kinds.data && kindOf(kinds.data, chosen);
  // Another kind has other fields.
  const leave = useLeave();
  return (
    <Panel title={t("credential.add")} onClose={onClose} footer={<Footer busy={busy} onClose={onClose} />}>
      {kinds.error ? <ErrorBox error={kinds.error} retry={() => void kinds.refetch()} /> : null}
      {kind ? (
        <div className="flex flex-col gap-4">
          <SelectField
            label={t("credential.kind")}
            value={chosen}
            onChange={(event) => {
              const next = event.target.value as CredentialKind;
              leave(() => setChosen(next));
            }}
          >
            {kinds.data?.map((one) => (
              <option key={one.kind} value={one.kind}>
                {one.title}
              </option>
            ))}
          </SelectField>
          <CredentialFields key={chosen} id={FORM} kind={kind} writes onBusy={setBusy} onSaved={onSaved} />
        </div>
      ) : kinds.error ? null : (
        <SkeletonLines lines={6} />
      )}
    </Panel>
  );
}

export function CredentialPanel({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const kinds = useQuery(kindsQuery);
  const credential = useQuery(credentialQuery(id));
  const [busy, setBusy] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const writes = can("credentials:write");
  const { data } = credential;
  const kind = data && kinds.data && kindOf(kinds.data, data.kind);
  const error = credential.error ?? kinds.error;
  if (isGone(credential)) return <Gone kind="credential" id={id} name={data?.name} onClose={onClose} />;
  return (
    <Panel
      title={data?.name ?? t("credential.one")}
      subtitle={kind?.title}
      onClose={onClose}
      footer={
        writes && kind ? (
          <Footer busy={busy} onClose={onClose}>
            <Button look="danger" className="ml-auto" onClick={() => setDeleting(true)}>
              {t("common.delete")}
            </Button>
          </Footer>
        ) : undefined
      }
    >
      {kind ? (
        <Content kind={kind} credential={data} writes={writes} onBusy={setBusy} />
      ) : error ? (
        <ErrorBox
          error={error}
          retry={() => {
            void credential.refetch();
            void kinds.refetch();
          }}
        />
      ) : (
        <SkeletonLines lines={8} />
      )}
      {deleting && data ? (
        <Delete credential={data} onClose={() => setDeleting(false)} onDeleted={onClose} />
      ) : null}
    </Panel>
  );
}

function Content({
  kind,
  credential,
  writes,
  onBusy,
}: {
  kind: CredentialKindDescription;
  credential: Credential;
  writes: boolean;
  onBusy: (busy: boolean) => void;
}) {
  const { t } = useTranslation();
  // A fingerprint that a test has shown, and that somebody wants to trust.
  const maySee = useMaySee();
  const [trusted, setTrusted] = useState<string>();
  const leave = useLeave();
  return (
    <>
      {kind.testable ? (
        <Section title={t("credential.test")}>
          <TestBox
            kind={kind}
            credential={credential}
            writes={writes}
            onTrust={(shown) => leave(() => setTrusted(shown))}
          />
        </Section>
      ) : null}
      <Section title={t("credential.one")}>
        <FromVersion of={credential}>
          {(held, saved) => (
            <CredentialFields
              key={trusted}
              id={FORM}
              kind={kind}
              credential={held}
              trusted={trusted}
              writes={writes}
              onBusy={onBusy}
              onSaved={(answer) => {
                saved(answer);
                setTrusted(undefined);
              }}
            />
          )}
        </FromVersion>
      </Section>
      <Section title={t("credential.usedBy")}>
        {credential.used_by.length === 0 ? <p className="text-muted">{t("credential.unused")}</p> : null}
        <ul className="flex flex-col gap-1">
          {credential.used_by.map((user) => (
            <li key={user.id}>
              {user.kind === "oidc_provider" && maySee("/settings/providers") ? (
                <Link to="/settings/providers" search={{ selected: user.id }} className="hover:underline">
                  {user.name}
                </Link>
              ) : (
                user.name
              )}{" "}
              <span className="text-faint">
                {t(`credential.user.${user.kind}`, { defaultValue: user.kind })}
              </span>
            </li>
          ))}
        </ul>
      </Section>
      <Section title={t("credential.uses")}>
        <Uses id={credential.id} />
      </Section>
    </>
  );
}

function Footer({ busy, onClose, children }: { busy: boolean; onClose: () => void; children?: ReactNode }) {
  const { t } = useTranslation();
  return (
    <>
      <Button look="primary" type="submit" form={FORM} busy={busy}>
        {t("common.save")}
      </Button>
      <Cancel onClick={onClose} />
      {children}
    </>
  );
}

function Delete({
  credential: { id, name, version },
  onClose,
  onDeleted,
}: {
  credential: Credential;
  onClose: () => void;
  onDeleted: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  return (
    <Confirm
      title={t("common.deleteOf", { name })}
      text={t("credential.deleteText")}
      action={t("common.delete")}
      word={name}
      work={() =>
        deleteForGood(client, {
          id,
          one: credentialQuery(id).queryKey,
          lists: credentialsKey,
          work: () =>
            http.DELETE("/api/v1/credentials/{id}", {
              params: { path: { id } },
              headers: ifMatch(version),
            }),
          onDeleted: () => {
            toast(t("common.deleted", { name }));
            onDeleted();
          },
        })
      }
      onClose={onClose}
    />
  );
}
