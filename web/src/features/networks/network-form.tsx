/** A network as a person types it: a new one, or one to change. */
import { zodResolver } from "@hookform/resolvers/zod";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import { networksQuery } from "#/api/queries";
import type { Network } from "#/api/schema";
import { isCidr, isIp } from "#/domain/address";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { atMost, z } from "#/domain/zod";
import { isKey, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Warning } from "#/ui/feedback";
import { TextArea, TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { Panel } from "#/ui/panel";

const schema = z.object({
  name: z.string().trim().min(1, "form.required").max(200, atMost(200)),
  cidr: z.string().trim().refine(isCidr, "form.cidr"),
  vlan: z
    .string()
    .trim()
    .refine(
      (text) => text === "" || (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 4094),
      "form.vlan",
    ),
  gateway: z
    .string()
    .trim()
    .refine((text) => text === "" || isIp(text), "form.ip"),
  notes: z.string(),
});
const fields = ["name", "cidr", "vlan", "gateway", "notes"] as const;

const toForm = (network?: Network) => ({
  name: network?.name ?? "",
  cidr: network?.cidr ?? "",
  vlan: network?.vlan?.toString() ?? "",
  gateway: network?.gateway ?? "",
  notes: network?.notes ?? "",
});

interface NetworkFormProps {
  network?: Network;
  /** It was deleted meanwhile. */
  gone?: boolean;
  onClose: () => void;
  onSaved: (id: string) => void;
}

export function NetworkForm({ network: now, gone, onClose, onSaved }: NetworkFormProps) {
  const { t } = useTranslation();
  // What was changed is what was there when it was opened: somebody else's change in between must not be overwritten.
  const [network] = useState(now);
  const client = useQueryClient();
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: toForm(network),
  });
  const { errors, isDirty, isSubmitting } = form.formState;
  const message = (field: (typeof fields)[number]) => {
    const text = errors[field]?.message;
    return text && isKey(text) ? t(text) : text;
  };

  const edit = useEdit({
    form,
    of: network,
    read: ({ id }) => take(http.GET("/api/v1/networks/{id}", { params: { path: { id } } })),
    toForm,
    fields: {
      name: { label: t("networks.name") },
      cidr: { label: t("networks.cidr") },
      vlan: { label: t("networks.vlan") },
      gateway: { label: t("networks.gateway") },
      notes: { label: t("networks.notes") },
    },
    send: (values, held) => {
      const body = {
        ...values,
        vlan: values.vlan ? Number(values.vlan) : null,
        gateway: values.gateway || null,
      };
      return held
        ? take(
            http.PATCH("/api/v1/networks/{id}", {
              params: { path: { id: held.id } },
              headers: ifMatch(held.version),
              body,
            }),
          )
        : take(http.POST("/api/v1/networks", { body }));
    },
    done: async (saved) => {
      await client.invalidateQueries({ queryKey: networksQuery.queryKey });
      onSaved(saved.id);
    },
    places: fields,
  });

  return (
    <Panel
      title={network ? t("networks.edit", { name: network.name }) : t("networks.add")}
      onClose={onClose}
      footer={
        <>
          <Button look="primary" type="submit" form="network-form" busy={isSubmitting} disabled={gone}>
            {t("common.save")}
          </Button>
          <Cancel onClick={onClose} />
        </>
      }
    >
      <Form changed={isDirty} id="network-form" onSubmit={edit.submit}>
        <div className="flex flex-col gap-4">
          {gone ? <Warning>{t("networks.goneWhileEditing")}</Warning> : null}
          <EditTrouble edit={edit} />
          <TextField
            label={t("networks.name")}
            autoFocus
            error={message("name")}
            {...form.register("name")}
          />
          <TextField
            label={t("networks.cidr")}
            mono
            placeholder="192.168.1.0/24"
            error={message("cidr")}
            {...form.register("cidr")}
          />
          <div className="grid grid-cols-2 gap-3">
            <TextField
              label={t("networks.vlan")}
              optional
              inputMode="numeric"
              error={message("vlan")}
              {...form.register("vlan")}
            />
            <TextField
              label={t("networks.gateway")}
              optional
              mono
              error={message("gateway")}
              {...form.register("gateway")}
            />
          </div>
          <TextArea
            label={t("networks.notes")}
            optional
            help={t("form.markdown")}
            rows={4}
            error={message("notes")}
            {...form.register("notes")}
          />
        </div>
      </Form>
    </Panel>
  );
}
