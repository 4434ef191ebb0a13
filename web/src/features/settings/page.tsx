import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Activity, Download, LogIn, Pencil, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import { settingsQuery, tagsQuery } from "#/api/queries";
import type { Settings, Tag } from "#/api/schema";
import { useAuth } from "#/api/session";
import { TagChip } from "#/domain/asset";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { useMaySee } from "#/domain/may-see";
import { useHidden, useRemoval } from "#/domain/removal";
import { nextTagColor } from "#/domain/tag-colors";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/settings.json";
import { Button, buttonClass, IconButton } from "#/ui/button";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { FromVersion, GuardScope, useGuardScope } from "#/ui/guard";
import { Block, Blocks, PageHead } from "#/ui/page";
import { toast } from "#/ui/toast";
import { UnknownProxies } from "./proxies";
import { Retention } from "./retention";

addWords(words);

export function SettingsPage() {
  const { t } = useTranslation();
  const maySee = useMaySee();
  const settings = useQuery(settingsQuery);
  return (
    <>
      <PageHead title={t("pages.settings")} />
      <Blocks label={t("pages.settings")}>
        <Block title={t("settings.instance")} text={t("settings.instanceText")}>
          {settings.error ? (
            <ErrorBox error={settings.error} retry={() => void settings.refetch()} />
          ) : settings.data ? (
            <FromVersion of={settings.data}>
              {(held, saved) => <InstanceName settings={held} saved={saved} />}
            </FromVersion>
          ) : (
            <SkeletonLines lines={2} />
          )}
        </Block>
        <Block title={t("settings.retention")} text={t("settings.retentionText")}>
          {settings.data ? (
            <FromVersion of={settings.data}>
              {(held, saved) => <Retention settings={held} saved={saved} />}
            </FromVersion>
          ) : settings.error ? null : (
            <SkeletonLines lines={2} />
          )}
        </Block>
        <UnknownProxies />
        {maySee("/settings/operations") ? (
          <Block title={t("settings.operations")} text={t("settings.operationsText")}>
            <Link to="/settings/operations" className={buttonClass()}>
              <Activity aria-hidden className="size-4" />
              {t("settings.operationsOpen")}
            </Link>
          </Block>
        ) : null}
        {maySee("/settings/providers") ? (
          <Block title={t("settings.providers")} text={t("settings.providersText")}>
            <Link to="/settings/providers" className={buttonClass()}>
              <LogIn aria-hidden className="size-4" />
              {t("settings.providersOpen")}
            </Link>
          </Block>
        ) : null}
        <Block title={t("settings.tags")} text={t("settings.tagsText")}>
          <Tags />
        </Block>
        <Block title={t("settings.ca")} text={t("settings.caText")}>
          <a href="/ca.crt" download="circuit-breaker-ca.crt" className={buttonClass()}>
            <Download aria-hidden className="size-4" />
            {t("settings.caDownload")}
          </a>
        </Block>
      </Blocks>
    </>
  );
}

function InstanceName({ settings, saved }: { settings: Settings; saved: (answer: Settings) => void }) {
  const { t } = useTranslation();
  const { can } = useAuth();
  const client = useQueryClient();
  const toForm = ({ instance_name }: Settings) => ({ instance_name });
  const form = useForm({ defaultValues: toForm(settings) });
  const { errors, isSubmitting, isDirty } = form.formState;
  const edit = useEdit({
    form,
    of: settings,
    read: () => client.fetchQuery({ ...settingsQuery, staleTime: 0 }),
    toForm,
    fields: { instance_name: { label: t("settings.name") } },
    send: (body, held) =>
      take(http.PATCH("/api/v1/settings", { headers: ifMatch(held?.version ?? 0), body })),
    done: (answer) => {
      client.setQueryData(settingsQuery.queryKey, answer);
      saved(answer);
      toast(t("settings.saved"));
    },
    places: ["instance_name"],
  });
  return (
    <Form changed={isDirty} onSubmit={edit.submit} className="flex flex-col items-start gap-3">
      <TextField
        label={t("settings.name")}
        className="w-full max-w-sm"
        disabled={!can("settings:write")}
        error={errors.instance_name?.message}
        {...form.register("instance_name", { required: t("form.required") })}
      />
      <EditTrouble edit={edit} />
      {can("settings:write") ? (
        <Button type="submit" busy={isSubmitting} disabled={!isDirty}>
          {t("common.save")}
        </Button>
      ) : null}
    </Form>
  );
}

function Tags() {
  const { t } = useTranslation();
  const { can } = useAuth();
  const tags = useQuery(tagsQuery);
  const hidden = useHidden();
  const remove = useRemoval();
  const [editing, setEditing] = useState<string | null>(null);
  const { path, leave } = useGuardScope();
  if (tags.error) return <ErrorBox error={tags.error} retry={() => void tags.refetch()} />;
  if (!tags.data) return <SkeletonLines lines={3} />;
  const rows = tags.data.filter((tag) => !hidden.has(tag.id));
  const writes = can("inventory:write");
  return (
    <GuardScope path={path}>
      {rows.length > 0 ? (
        <ul className="mb-3 divide-y divide-line border-y border-line">
          {rows.map((tag) =>
            editing === tag.id ? (
              <li key={tag.id} className="py-2">
                <TagForm tag={tag} taken={tags.data} onDone={() => setEditing(null)} />
              </li>
            ) : (
              <li key={tag.id} className="flex h-10 items-center gap-3">
                <TagChip tag={tag} />
                <span className="flex-1 text-muted">{t("settings.tagUses", { count: tag.asset_count })}</span>
                {writes ? (
                  <>
                    <IconButton
                      label={t("settings.tagEdit", { name: tag.name })}
                      onClick={() => leave(() => setEditing(tag.id))}
                    >
                      <Pencil aria-hidden className="size-4" />
                    </IconButton>
                    <IconButton
                      label={t("settings.tagDelete", { name: tag.name })}
                      onClick={() =>
                        remove({
                          ids: [tag.id],
                          text: t("common.deleted", { name: tag.name }),
                          resource: "tags",
                          send: (id) => http.DELETE("/api/v1/tags/{id}", { params: { path: { id } } }),
                          invalidate: [tagsQuery.queryKey, ["assets"]],
                        })
                      }
                    >
                      <Trash2 aria-hidden className="size-4" />
                    </IconButton>
                  </>
                ) : null}
              </li>
            ),
          )}
        </ul>
      ) : null}
      {writes ? (
        editing === "new" ? (
          <TagForm taken={tags.data} onDone={() => setEditing(null)} />
        ) : (
          <Button onClick={() => leave(() => setEditing("new"))}>
            <Plus aria-hidden className="size-4" />
            {t("settings.tagAdd")}
          </Button>
        )
      ) : null}
    </GuardScope>
  );
}

function TagForm({ tag, taken, onDone }: { tag?: Tag; taken: readonly Tag[]; onDone: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const toForm = (of?: Tag) => ({ name: of?.name ?? "", color: of?.color ?? nextTagColor(taken) });
  const form = useForm({ defaultValues: toForm(tag) });
  const { errors, isDirty, isSubmitting } = form.formState;
  const edit = useEdit({
    form,
    of: tag,
    read: ({ id }) => take(http.GET("/api/v1/tags/{id}", { params: { path: { id } } })),
    toForm,
    fields: { name: { label: t("settings.tagName") }, color: { label: t("settings.tagColor") } },
    send: (body, held) =>
      held
        ? take(
            http.PATCH("/api/v1/tags/{id}", {
              params: { path: { id: held.id } },
              headers: ifMatch(held.version),
              body,
            }),
          )
        : take(http.POST("/api/v1/tags", { body })),
    done: async () => {
      await client.invalidateQueries({ queryKey: tagsQuery.queryKey });
      void client.invalidateQueries({ queryKey: ["assets"] });
      onDone();
    },
    places: ["name", "color"],
  });
  return (
    <Form changed={isDirty} onSubmit={edit.submit} className="flex flex-wrap items-end gap-2">
      <TextField
        label={t("settings.tagName")}
        autoFocus
        maxLength={64}
        error={errors.name?.message}
        {...form.register("name", { required: t("form.required") })}
      />
      <TextField
        label={t("settings.tagColor")}
        type="color"
        className="w-14 [&_input]:p-1"
        error={errors.color?.message}
        {...form.register("color")}
      />
      <Button type="submit" look="primary" busy={isSubmitting}>
        {t("common.save")}
      </Button>
      <Cancel onClick={onDone} />
      <div className="flex w-full flex-col gap-3 empty:hidden">
        <EditTrouble edit={edit} />
      </div>
    </Form>
  );
}
