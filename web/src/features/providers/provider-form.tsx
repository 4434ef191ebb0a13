import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm, useWatch } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import { credentialsOfKindQuery } from "#/api/queries";
import type { OidcProvider } from "#/api/schema";
import { methodsQuery } from "#/api/session";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { PasswordField } from "#/domain/password-field";
import { roles } from "#/domain/roles";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Checkbox, SelectField, TextField } from "#/ui/field";
import { Form } from "#/ui/form";
import { Section } from "#/ui/panel";
import { toast } from "#/ui/toast";
import { type ProviderForm, slugOf, toBody, toForm } from "./fields";
import { providersQuery } from "./queries";
import { RoleGroups } from "./role-groups";

const places = Object.keys(toForm()) as (keyof ProviderForm)[];

interface Props {
  id: string;
  provider?: OidcProvider;
  writes: boolean;
  onBusy: (busy: boolean) => void;
  onSaved: (provider: OidcProvider) => void;
}

export function ProviderFields({ id, provider, writes, onBusy, onSaved }: Props) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [replacing, setReplacing] = useState(!provider?.has_client_secret);
  const form = useForm<ProviderForm>({ defaultValues: toForm(provider) });
  const { errors, dirtyFields, isDirty } = form.formState;
  const needed = (text: string) => text.trim() !== "" || t("form.required");
  const name = form.register("name", { validate: needed });
  const credentials = useQuery(credentialsOfKindQuery("oidc_client"));
  const named = useWatch({ control: form.control, name: "credential_id" });
  // What the server misses must be seen.
  const secretShown = replacing || !!errors.client_secret;

  const edit = useEdit({
    form,
    of: provider,
    read: ({ id: one }) => take(http.GET("/api/v1/oidc-providers/{id}", { params: { path: { id: one } } })),
    toForm,
    fields: {
      name: { label: t("provider.name") },
      // It cannot be changed.
      slug: { label: t("provider.slug") },
      issuer: { label: t("provider.issuer") },
      credential_id: {
        label: t("provider.credential"),
        text: ({ credential_id: id }) =>
          id ? (credentials.data?.find((one) => one.id === id)?.name ?? id) : t("provider.ownClient"),
      },
      client_id: { label: t("provider.clientId") },
      client_secret: { label: t("provider.clientSecret"), secret: true },
      role_groups: {
        label: t("provider.roleGroups"),
        text: ({ role_groups }) =>
          role_groups.map(({ group, role }) => `${group}: ${t(`roles.${role}`)}`).join("\n"),
      },
      default_role: {
        label: t("provider.defaultRole"),
        text: ({ default_role: role }) => (role ? t(`roles.${role}`) : t("provider.noRole")),
      },
      create_users: {
        label: t("provider.createUsers"),
        text: ({ create_users }) => t(create_users ? "edit.on" : "edit.off"),
      },
      enabled: { label: t("provider.enabled"), text: ({ enabled }) => t(enabled ? "edit.on" : "edit.off") },
      scopes: { label: t("provider.scopes") },
      groups_claim: { label: t("provider.groupsClaim") },
      certificate_sha256: { label: t("provider.certificate") },
    },
    send: (values, held) => {
      const { slug, ...body } = toBody(values);
      return held
        ? take(
            http.PATCH("/api/v1/oidc-providers/{id}", {
              params: { path: { id: held.id } },
              headers: ifMatch(held.version),
              body,
            }),
          )
        : take(http.POST("/api/v1/oidc-providers", { body: { slug, ...body } }));
    },
    done: async (saved) => {
      toast(t("provider.saved", { name: saved.name }));
      await client.invalidateQueries({ queryKey: providersQuery.queryKey });
      void client.invalidateQueries({ queryKey: methodsQuery.queryKey });
      onSaved(saved);
    },
    places,
    onBusy,
  });

  return (
    <Form changed={isDirty} id={id} onSubmit={edit.submit} className="flex flex-col gap-4">
      <EditTrouble edit={edit} />
      <fieldset disabled={!writes} className="flex flex-col gap-4">
        <TextField
          label={t("provider.name")}
          help={t("provider.nameHelp")}
          autoFocus={!provider}
          error={errors.name?.message}
          {...name}
          onChange={(event) => {
            void name.onChange(event);
            if (!provider && !dirtyFields.slug) form.setValue("slug", slugOf(event.target.value));
          }}
        />
        {provider ? null : (
          <TextField
            label={t("provider.slug")}
            help={t("provider.slugHelp")}
            mono
            autoCapitalize="off"
            spellCheck={false}
            error={errors.slug?.message}
            {...form.register("slug", { validate: needed })}
          />
        )}
        <TextField
          label={t("provider.issuer")}
          help={t("provider.issuerHelp")}
          mono
          inputMode="url"
          autoCapitalize="off"
          spellCheck={false}
          placeholder="https://"
          error={errors.issuer?.message}
          {...form.register("issuer", { validate: needed })}
        />
        {credentials.data?.length || provider?.credential_id ? (
          <SelectField
            label={t("provider.credential")}
            help={t("provider.credentialHelp")}
            error={errors.credential_id?.message}
            {...form.register("credential_id")}
          >
            <option value="">{t("provider.ownClient")}</option>
            {credentials.data?.map(({ id: value, name }) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </SelectField>
        ) : null}
        {named ? null : (
          <>
            <TextField
              label={t("provider.clientId")}
              mono
              autoComplete="off"
              autoCapitalize="off"
              spellCheck={false}
              error={errors.client_id?.message}
              {...form.register("client_id", { validate: needed })}
            />
            {secretShown ? (
              <PasswordField
                label={t("provider.clientSecret")}
                optional
                help={t("provider.clientSecretHelp")}
                autoComplete="off"
                error={errors.client_secret?.message}
                {...form.register("client_secret")}
              />
            ) : (
              <div className="flex items-center justify-between gap-3">
                <span>
                  <span className="block text-xs font-medium text-muted">{t("provider.clientSecret")}</span>
                  <span className="block">{t("provider.secretKept")}</span>
                </span>
                <Button onClick={() => setReplacing(true)}>{t("provider.replace")}</Button>
              </div>
            )}
          </>
        )}
      </fieldset>
      <Section title={t("provider.who")}>
        <fieldset disabled={!writes} className="flex flex-col gap-4">
          <RoleGroups form={form} disabled={!writes} />
          <SelectField
            label={t("provider.defaultRole")}
            help={t("provider.defaultRoleHelp")}
            error={errors.default_role?.message}
            {...form.register("default_role")}
          >
            <option value="">{t("provider.noRole")}</option>
            {roles.map((role) => (
              <option key={role} value={role}>
                {t(`roles.${role}`)}
              </option>
            ))}
          </SelectField>
          <Checkbox label={t("provider.createUsers")} {...form.register("create_users")} />
          <Checkbox label={t("provider.enabled")} {...form.register("enabled")} />
        </fieldset>
      </Section>
      <details open={errors.scopes || errors.groups_claim || errors.certificate_sha256 ? true : undefined}>
        <summary className="cursor-pointer py-1 text-muted hover:text-ink">{t("provider.more")}</summary>
        <fieldset disabled={!writes} className="mt-3 flex flex-col gap-4">
          <TextField
            label={t("provider.scopes")}
            help={t("provider.scopesHelp")}
            mono
            error={errors.scopes?.message}
            {...form.register("scopes")}
          />
          <TextField
            label={t("provider.groupsClaim")}
            help={t("provider.groupsClaimHelp")}
            mono
            error={errors.groups_claim?.message}
            {...form.register("groups_claim")}
          />
          <TextField
            label={t("provider.certificate")}
            optional
            help={t("provider.certificateHelp")}
            mono
            spellCheck={false}
            error={errors.certificate_sha256?.message}
            {...form.register("certificate_sha256")}
          />
        </fieldset>
      </details>
    </Form>
  );
}
