import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { http, ifMatch, take } from "#/api/client";
import type { Hook } from "#/api/schema";
import { useAuth } from "#/api/session";
import { Gone, isGone } from "#/domain/gone";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { FromVersion } from "#/ui/guard";
import { Panel, Section } from "#/ui/panel";
import { CopyButton, SecretText } from "#/ui/secret";
import { Moment, Time } from "#/ui/time";
import { Delete } from "./delete";
import { Footer } from "./footer";
import { HookBadge } from "./hook-badge";
import { HookEvents } from "./hook-events";
import { HookFields } from "./hook-form";
import { recipeOf } from "./hook-recipes";
import { useKeep } from "./keep";
import { hookQuery, hooksKey } from "./queries";

const FORM = "hook-form";

export function NewHookPanel({ onClose, onMade }: { onClose: () => void; onMade: (hook: Hook) => void }) {
  const { t } = useTranslation();
  const keep = useKeep<Hook>(hooksKey);
  const [busy, setBusy] = useState(false);
  return (
    <Panel
      title={t("hook.add")}
      onClose={onClose}
      footer={<Footer form={FORM} busy={busy} onClose={onClose} />}
    >
      <HookFields
        id={FORM}
        writes
        onBusy={setBusy}
        onSaved={(made) => {
          keep(made);
          onMade(made);
        }}
      />
    </Panel>
  );
}

interface Props {
  id: string;
  onClose: () => void;
  /** A new secret came, and is shown this once. */
  onSecret: (hook: Hook) => void;
}

export function HookPanel({ id, onClose, onSecret }: Props) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const keep = useKeep<Hook>(hooksKey);
  const hook = useQuery(hookQuery(id));
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState<"rotate" | "delete" | null>(null);
  const writes = can("notifications:write");
  const { data } = hook;

  if (isGone(hook)) return <Gone kind="hook" id={id} name={data?.name} onClose={onClose} />;
  return (
    <Panel
      title={data?.name ?? t("hook.one")}
      subtitle={data ? t(`hook.formats.${data.format}`) : undefined}
      onClose={onClose}
      footer={
        writes && data ? (
          <Footer form={FORM} busy={busy} onClose={onClose}>
            <Button look="danger" className="ml-auto" onClick={() => setAsked("delete")}>
              {t("common.delete")}
            </Button>
          </Footer>
        ) : undefined
      }
    >
      {data ? (
        <>
          <Section title={t("notification.state")}>
            <Counts hook={data} />
            {writes ? <Switch hook={data} onTurned={keep} /> : null}
          </Section>
          <Section title={t("hook.events")}>
            <HookEvents id={id} />
          </Section>
          <Section title={t("hook.setUp")}>
            <SetUp hook={data} />
          </Section>
          <Section title={t("hook.one")}>
            <FromVersion of={data}>
              {(held, saved) => (
                <HookFields
                  id={FORM}
                  hook={held}
                  writes={writes}
                  onBusy={setBusy}
                  onSaved={(answer) => {
                    keep(answer);
                    saved(answer);
                  }}
                />
              )}
            </FromVersion>
          </Section>
          <Section
            title={t("notification.secret")}
            action={
              writes ? <Button onClick={() => setAsked("rotate")}>{t("notification.rotate")}</Button> : null
            }
          >
            <div className="flex flex-col gap-1 text-muted">
              <p>
                {t("notification.secretSet")} <Time at={data.secret_changed_at} />
              </p>
              {data.previous_secret_until ? (
                <p>
                  {t("hook.bothCount")} <Moment at={data.previous_secret_until} />
                </p>
              ) : null}
            </div>
          </Section>
        </>
      ) : hook.error ? (
        <ErrorBox error={hook.error} retry={() => void hook.refetch()} />
      ) : (
        <SkeletonLines lines={8} />
      )}
      {asked === "rotate" && data ? (
        <Confirm
          title={t("notification.rotateOf", { name: data.name })}
          text={t("hook.rotateText")}
          action={t("notification.rotate")}
          work={async () => {
            const answer = await take(http.POST("/api/v1/hooks/{id}/secret", { params: { path: { id } } }));
            keep(answer);
            onSecret(answer);
          }}
          onClose={() => setAsked(null)}
        />
      ) : null}
      {asked === "delete" && data ? (
        <Delete
          of={data}
          resource={hooksKey}
          text={t("hook.deleteText")}
          work={() =>
            http.DELETE("/api/v1/hooks/{id}", {
              params: { path: { id } },
              headers: ifMatch(data.version),
            })
          }
          onClose={() => setAsked(null)}
          onDeleted={onClose}
        />
      ) : null}
    </Panel>
  );
}

function Counts({ hook }: { hook: Hook }) {
  const { t } = useTranslation();
  return (
    <div className="flex flex-col items-start gap-2">
      <HookBadge hook={hook} />
      <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5">
        <dt className="text-muted">{t("hook.received")}</dt>
        <dd>
          {counted(hook.received)}
          {hook.last_received_at ? (
            <span className="text-muted">
              {" · "}
              <Time at={hook.last_received_at} />
            </span>
          ) : null}
        </dd>
        <dt className="text-muted">{t("hook.refused")}</dt>
        <dd className="min-w-0">
          {counted(hook.refused)}
          {hook.last_refused_at ? (
            <span className="text-muted">
              {" · "}
              <Time at={hook.last_refused_at} />
            </span>
          ) : null}
          {hook.last_refused_reason ? (
            <p className="break-words text-muted">{t("hook.why", { reason: hook.last_refused_reason })}</p>
          ) : null}
        </dd>
      </dl>
    </div>
  );
}

function Switch({ hook, onTurned }: { hook: Hook; onTurned: (hook: Hook) => void }) {
  const { t } = useTranslation();
  const turned = useMutation({
    mutationFn: () =>
      take(
        http.PATCH("/api/v1/hooks/{id}", {
          params: { path: { id: hook.id } },
          headers: ifMatch(hook.version),
          body: { enabled: !hook.enabled },
        }),
      ),
    onSuccess: onTurned,
  });
  return (
    <div className="mt-3">
      <Button busy={turned.isPending} onClick={() => turned.mutate()}>
        {t(hook.enabled ? "notification.switchOff" : "notification.switchOn")}
      </Button>
      {turned.error ? <ErrorBox error={turned.error} className="mt-3" /> : null}
    </div>
  );
}

function SetUp({ hook }: { hook: Hook }) {
  const { t } = useTranslation();
  const url = location.origin + hook.path;
  const recipe = recipeOf(hook.format, url);
  return (
    <div className="flex flex-col gap-4">
      <SecretText label={t("hook.address")} text={url} />
      <div>
        <p className="mb-1.5 text-muted">{t(`hook.setUpText.${hook.format}`)}</p>
        <pre
          className="mono mb-1.5 max-h-64 overflow-auto rounded border border-line bg-sunken px-2 py-1.5 text-xs"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
          tabIndex={0}
        >
          {recipe}
        </pre>
        <CopyButton text={recipe} label={t("hook.copyRecipe")} />
      </div>
    </div>
  );
}
