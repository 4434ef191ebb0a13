/** What something is, chosen from the kinds and the roles together, as lists show them in one column. */
import type { AssetKind } from "#/api/schema";
import { assetKinds, roleName } from "#/domain/asset";
import { knownRoles, roleWord } from "#/domain/icons";
import { useTranslation } from "#/i18n";
import { SelectField } from "#/ui/field";

/** A role says more than its kind. */
export const writeWhat = (kind: AssetKind, role: string | null): string =>
  role ? `role:${role}` : `kind:${kind}`;

/** A role without a kind brings its own. */
export function readWhat(what: string): { kind?: AssetKind; role: string | null } {
  const kind = assetKinds.find((one) => `kind:${one}` === what);
  return kind ? { kind, role: null } : { role: what.replace(/^role:/, "") };
}

export function KindRoleField({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
}) {
  const { t } = useTranslation();
  const own = value.startsWith("role:") ? value.slice("role:".length) : undefined;
  // A scan spells a role as it likes.
  const roles =
    own && !knownRoles.includes(own)
      ? [own, ...knownRoles.filter((one) => one !== roleWord(own))]
      : knownRoles;
  return (
    <SelectField label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      <optgroup label={t("findings.roles")}>
        {roles.map((role) => (
          <option key={role} value={`role:${role}`}>
            {roleName(role)}
          </option>
        ))}
      </optgroup>
      <optgroup label={t("findings.kinds")}>
        {assetKinds.map((kind) => (
          <option key={kind} value={`kind:${kind}`}>
            {t(`kind.${kind}`)}
          </option>
        ))}
      </optgroup>
    </SelectField>
  );
}
