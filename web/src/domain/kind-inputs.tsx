/** The inputs of a kind's fields. */
import type { UseFormRegisterReturn } from "react-hook-form";
import { useTranslation } from "#/i18n";
import { SelectField, TextArea, TextField } from "#/ui/field";
import type { KindField } from "./kind-fields";
import { PasswordField } from "./password-field";

/** What a field must be before it is worth sending; for `register`. */
export function useRules() {
  const { t } = useTranslation();
  return ({ required, most }: KindField) => ({
    validate: (text: string | undefined) => !required || (text ?? "").trim() !== "" || t("form.required"),
    maxLength: { value: most, message: t("form.tooLong", { max: most }) },
  });
}

interface Props {
  field: KindField;
  input: UseFormRegisterReturn;
  error?: string;
}

export function PublicInput({ field, input, error }: Props) {
  const props = { label: field.title, help: field.help, error, ...input };
  if (field.choices)
    return (
      <SelectField {...props}>
        {field.choices.map((choice) => (
          <option key={choice} value={choice}>
            {choice}
          </option>
        ))}
      </SelectField>
    );
  return <TextField {...props} mono autoComplete="off" autoCapitalize="off" spellCheck={false} />;
}

export function SecretInput({ field, input, error, autoFocus }: Props & { autoFocus?: boolean }) {
  const props = { label: field.title, help: field.help, error, autoFocus, ...input };
  return field.lines ? (
    <TextArea {...props} mono rows={6} autoComplete="off" autoCapitalize="off" spellCheck={false} />
  ) : (
    <PasswordField {...props} autoComplete="new-password" />
  );
}
