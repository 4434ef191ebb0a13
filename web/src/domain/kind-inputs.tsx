/** The inputs of a kind's fields. */
import type { UseFormRegisterReturn } from "react-hook-form";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/kinds.json";
import { SelectField, TextArea, TextField } from "#/ui/field";
import type { Part } from "./edit/merge";
import { fieldsOf, isOptional, type KindField, usualPort, type Values } from "./kind-fields";
import { PasswordField } from "./password-field";

addWords(words);

/** What a field must be before it is worth sending; for `register`. */
export function useRules() {
  const { t } = useTranslation();
  return ({ required, most }: KindField) => ({
    validate: (text: string | undefined) => !required || (text ?? "").trim() !== "" || t("form.required"),
    maxLength: { value: most, message: t("form.tooLong", { max: most }) },
  });
}

/** The public fields of a kind and the words for what they hold, for a form that compares two versions. */
export function useParts(): (schema: Record<string, unknown>) => Part[] {
  const { t } = useTranslation();
  return (schema) =>
    fieldsOf(schema).map(({ name, title, choices }) => ({
      name,
      label: title,
      ...(choices
        ? { text: (choice: string) => t(`choice.${name}.${choice}`, { defaultValue: choice }) }
        : {}),
    }));
}

interface Props {
  field: KindField;
  input: UseFormRegisterReturn;
  error?: string;
  /** What the public fields hold. */
  values?: Values;
}

export function PublicInput({ field, input, error, values = {} }: Props) {
  const { t } = useTranslation();
  // The server explains its own names of the choices, which nobody sees here.
  const help = field.choices ? t(`choiceHelp.${field.name}`, { defaultValue: field.help ?? "" }) : field.help;
  const props = { label: field.title, help, error, optional: isOptional(field, values), ...input };
  if (field.choices)
    return (
      <SelectField {...props}>
        {field.choices.map((choice) => (
          <option key={choice} value={choice}>
            {t(`choice.${field.name}.${choice}`, { defaultValue: choice })}
          </option>
        ))}
      </SelectField>
    );
  return (
    <TextField
      {...props}
      placeholder={usualPort(field, values)}
      mono
      autoComplete="off"
      autoCapitalize="off"
      spellCheck={false}
    />
  );
}

export function SecretInput({
  field,
  input,
  error,
  values = {},
  autoFocus,
}: Props & { autoFocus?: boolean }) {
  const optional = isOptional(field, values);
  const props = { label: field.title, help: field.help, error, optional, autoFocus, ...input };
  return field.lines ? (
    <TextArea {...props} mono rows={6} autoComplete="off" autoCapitalize="off" spellCheck={false} />
  ) : (
    <PasswordField {...props} autoComplete="new-password" />
  );
}
