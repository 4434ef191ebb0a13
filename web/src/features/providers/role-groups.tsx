import { Plus, X } from "lucide-react";
import { type UseFormReturn, useFieldArray } from "react-hook-form";
import { roles } from "#/domain/roles";
import { useTranslation } from "#/i18n";
import { Button, IconButton } from "#/ui/button";
import { SelectField, TextField } from "#/ui/field";
import type { ProviderForm } from "./fields";

/** Which group of the provider gives which role. */
export function RoleGroups({ form, disabled }: { form: UseFormReturn<ProviderForm>; disabled: boolean }) {
  const { t } = useTranslation();
  const { fields, append, remove } = useFieldArray({ control: form.control, name: "role_groups" });
  const { errors } = form.formState;
  return (
    <fieldset className="flex flex-col gap-2" disabled={disabled}>
      <legend className="mb-1 text-xs font-medium text-muted">{t("provider.roleGroups")}</legend>
      {fields.map((field, at) => (
        <div key={field.id} className="flex items-start gap-2">
          <TextField
            label={t("provider.groupOf", { n: at + 1 })}
            hideLabel
            placeholder={t("provider.group")}
            className="flex-1"
            error={errors.role_groups?.[at]?.group?.message}
            {...form.register(`role_groups.${at}.group`)}
          />
          <SelectField
            label={t("provider.roleOf", { n: at + 1 })}
            hideLabel
            className="w-36"
            error={errors.role_groups?.[at]?.role?.message}
            {...form.register(`role_groups.${at}.role`)}
          >
            {roles.map((role) => (
              <option key={role} value={role}>
                {t(`roles.${role}`)}
              </option>
            ))}
          </SelectField>
          <IconButton label={t("provider.removeGroup", { n: at + 1 })} onClick={() => remove(at)}>
            <X aria-hidden className="size-4" />
          </IconButton>
        </div>
      ))}
      {errors.role_groups?.message ? (
        <p role="alert" className="text-xs text-down-text">
          {errors.role_groups.message}
        </p>
      ) : null}
      <div>
        <Button onClick={() => append({ group: "", role: "viewer" })}>
          <Plus aria-hidden className="size-4" />
          {t("provider.addGroup")}
        </Button>
      </div>
      <p className="text-xs text-faint">{t("provider.roleGroupsHelp")}</p>
    </fieldset>
  );
}
