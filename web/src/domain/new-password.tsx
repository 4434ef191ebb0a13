import type { ComponentProps } from "react";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/password.json";
import { cx } from "#/ui/cx";
import { meterSteps, passwordAdvice } from "./password";
import { PasswordField } from "./password-field";

addWords(words);

type Props = Omit<ComponentProps<typeof PasswordField>, "help" | "autoComplete"> & {
  /** What is typed so far, and whose password it becomes. */
  typed: string;
  username: string;
};

/** A field for a password that is being chosen, with a meter of its length and advice in words. */
export function NewPasswordField({ typed, username, ...rest }: Props) {
  const { t } = useTranslation();
  const advice = passwordAdvice(typed, username);
  const steps = meterSteps(advice, [...typed].length);
  return (
    <PasswordField
      {...rest}
      autoComplete="new-password"
      help={
        <>
          <span aria-hidden className="my-1 grid grid-cols-4 gap-1">
            {[1, 2, 3, 4].map((step) => (
              <span
                key={step}
                className={cx(
                  "h-1 rounded-full",
                  step > steps
                    ? "bg-line-strong"
                    : steps === 1
                      ? "bg-down"
                      : steps < 4
                        ? "bg-degraded"
                        : "bg-up",
                )}
              />
            ))}
          </span>
          {/* An error says it already. */}
          <span aria-live="polite">{rest.error ? null : t(`password.advice.${advice}`)}</span>
        </>
      }
    />
  );
}
