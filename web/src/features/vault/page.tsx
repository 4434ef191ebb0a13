/** The keys that seal stored secrets: how old they are, when they change, and what must be kept outside of the server. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { RefreshCw } from "lucide-react";
import { useState } from "react";
import { rotateVaultKey, settingsQuery, vaultQuery } from "#/api/queries";
import type { Vault } from "#/api/schema";
import { useAuth } from "#/api/session";
import { VaultTabs } from "#/domain/vault-tabs";
import { addWords, counted, useTranslation } from "#/i18n";
import words from "#/i18n/en/vault.json";
import { Button } from "#/ui/button";
import { Fact, Facts } from "#/ui/facts";
import { Badge, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { FromVersion } from "#/ui/guard";
import { Block, Blocks, PageHead } from "#/ui/page";
import { Day, Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { History } from "./history";
import { Schedule } from "./schedule";

addWords(words);

export function VaultKeysPage() {
  const { t } = useTranslation();
  const { can } = useAuth();
  const vault = useQuery(vaultQuery);
  const settings = useQuery({ ...settingsQuery, enabled: can("settings:read") });
  return (
    <>
      <PageHead title={t("pages.vault")} />
      <VaultTabs />
      <Blocks label={t("vault.tab.keys")}>
        {vault.error ? (
          <div className="py-6">
            <ErrorBox error={vault.error} retry={() => void vault.refetch()} />
          </div>
        ) : vault.data ? (
          <>
            {vault.data.root_is_stale ? (
              <div className="py-4">
                <ErrorBox error={new Error(t("vault.stale", { source: vault.data.root_source }))} />
              </div>
            ) : null}
            <Block title={t("vault.current")} text={t("vault.currentText")}>
              <Current vault={vault.data} />
            </Block>
            <Block title={t("vault.schedule")} text={t("vault.scheduleText")}>
              <LastLook vault={vault.data} />
              {settings.error ? (
                <ErrorBox error={settings.error} retry={() => void settings.refetch()} />
              ) : settings.data ? (
                <FromVersion of={settings.data}>
                  {(held, saved) => <Schedule settings={held} saved={saved} />}
                </FromVersion>
              ) : null}
            </Block>
            <Block title={t("vault.history")} text={t("vault.historyText")}>
              <History keys={vault.data.keys} />
            </Block>
            <Block title={t("vault.root")} text={t("vault.rootText")}>
              <Root vault={vault.data} />
            </Block>
          </>
        ) : (
          <div className="py-6">
            <SkeletonLines lines={8} />
          </div>
        )}
      </Blocks>
    </>
  );
}

function Current({ vault }: { vault: Vault }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function rotate(): Promise<void> {
    setBusy(true);
    setError(null);
    try {
      await rotateVaultKey(client);
      toast(t("vault.rotated"));
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  }

  return (
    <>
      <Facts>
        <Fact name={t("vault.made")}>
          <Time at={vault.created_at} />
        </Fact>
        <Fact name={t("vault.next")}>
          {vault.next_rotation_at ? <Day at={vault.next_rotation_at} /> : t("vault.never")}
        </Fact>
        <Fact name={t("vault.sealed")}>{counted(vault.sealed)}</Fact>
      </Facts>
      {error ? <ErrorBox error={error} className="mb-3" /> : null}
      {can("vault:write") ? (
        <Button busy={busy} onClick={() => void rotate()}>
          <RefreshCw aria-hidden className="size-4" />
          {t("vault.rotate")}
        </Button>
      ) : null}
    </>
  );
}

function LastLook({ vault }: { vault: Vault }) {
  const { t } = useTranslation();
  const tones = { rotated: "up", not_due: "plain", failed: "down" } as const;
  return (
    <>
      <Facts>
        <Fact name={t("vault.lastLook")}>
          {vault.looked_at && vault.look_result ? (
            <span className="flex flex-wrap items-center gap-2">
              <Time at={vault.looked_at} />
              <Badge tone={tones[vault.look_result]}>{t(`vault.result.${vault.look_result}`)}</Badge>
            </span>
          ) : (
            t("vault.noLook")
          )}
        </Fact>
        <Fact name={t("vault.nextLook")}>
          {new Date(vault.next_look_at).toLocaleString(undefined, {
            dateStyle: "medium",
            timeStyle: "short",
          })}
        </Fact>
      </Facts>
      {vault.look_error ? <ErrorBox error={new Error(vault.look_error)} className="mb-3" /> : null}
    </>
  );
}

function Root({ vault }: { vault: Vault }) {
  const { t } = useTranslation();
  return (
    <>
      <Facts>
        <Fact name={t("vault.fingerprint")}>
          <span className="mono select-all">{vault.root_fingerprint}</span>
        </Fact>
        <Fact name={t("vault.stands")}>
          <span className="mono">{vault.root_source}</span>
        </Fact>
      </Facts>
      <p className="text-muted">
        {t("vault.rewrap")} <code className="mono select-all text-ink">cb vault rewrap</code>
      </p>
    </>
  );
}
