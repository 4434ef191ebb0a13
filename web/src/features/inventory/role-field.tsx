/** The role of an asset: one that the page has a word and an icon for, or a word of one's own. */
import { useState } from "react";
import { roleName } from "#/domain/asset";
import { knownRoles, roleWord } from "#/domain/icons";
import { useTranslation } from "#/i18n";
import { SelectField, TextField } from "#/ui/field";

interface RoleFieldProps {
  value: string;
  onChange: (role: string) => void;
  error?: string;
}

const OWN = "own";
const choices = knownRoles
  .map((role) => ({ role, name: roleName(role) }))
  .sort((a, b) => a.name.localeCompare(b.name));

export function RoleField({ value, onChange, error }: RoleFieldProps) {
  const { t } = useTranslation();
  const known = choices.find(({ role }) => role === roleWord(value))?.role;
  const [typing, setTyping] = useState(value !== "" && !known);
  // Another version of the asset may come in while the form is open.
  const own = typing || (value !== "" && !known);
  return (
    <div className="flex flex-col gap-2">
      <SelectField
        label={t("asset.role")}
        help={t("asset.roleHelp")}
        error={own ? undefined : error}
        value={own ? OWN : (known ?? "")}
        onChange={({ target }) => {
          setTyping(target.value === OWN);
          onChange(target.value === OWN ? "" : target.value);
        }}
      >
        <option value="">{t("asset.noRole")}</option>
        {choices.map(({ role, name }) => (
          <option key={role} value={role}>
            {name}
          </option>
        ))}
        <option value={OWN}>{t("asset.ownRole")}</option>
      </SelectField>
      {own ? (
        <TextField
          label={t("asset.ownRoleName")}
          maxLength={200}
          error={error}
          value={value}
          onChange={({ target }) => onChange(target.value)}
        />
      ) : null}
    </div>
  );
}
