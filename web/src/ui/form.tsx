/**
 * Every form of the product. `Form` asks before what was typed in it is lost (`guard.tsx`); `PlainForm` is for what nobody would
 * miss: a search, a sign-in, a confirmation. A test finds a form that is neither, and knows each file that may have a plain one.
 */
import { type ComponentProps, type FormEvent, type ReactNode, useRef } from "react";
import { useTranslation } from "#/i18n";
import { Button } from "./button";
import { GuardScope, useGuardScope, useLeave, useUnsaved } from "./guard";

interface FormProps extends Omit<ComponentProps<"form">, "onSubmit" | "noValidate"> {
  /** Whether something in it differs from what is saved. */
  changed: boolean;
  /** Saves. What closes the form before the promise ends is the success, and asks nothing. */
  onSubmit: (event: FormEvent<HTMLFormElement>) => Promise<unknown>;
  /** Where Escape closes the form itself, as in a row of a list. */
  onEscape?: () => void;
  children: ReactNode;
}

export function Form(props: FormProps) {
  const { path } = useGuardScope();
  return (
    <GuardScope path={path}>
      <GuardedForm {...props} />
    </GuardScope>
  );
}

function GuardedForm({ changed, onSubmit, onEscape, onInput, ...rest }: FormProps) {
  const { saving, touched } = useUnsaved(changed);
  const leave = useLeave();
  const running = useRef(0);
  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    // A form may stand in a dialog over another form; React would pass the event on to it.
    event.stopPropagation();
    running.current += 1;
    saving(true);
    try {
      await onSubmit(event);
    } finally {
      running.current -= 1;
      saving(running.current > 0);
    }
  }
  return (
    <form
      noValidate
      onSubmit={(event) => void submit(event)}
      onInput={(event) => {
        // Typed again after its changes were given up while it stayed open.
        if (changed) touched();
        onInput?.(event);
      }}
      onKeyDown={
        onEscape &&
        ((event) => {
          if (event.key !== "Escape" || event.defaultPrevented) return;
          event.preventDefault();
          leave(onEscape);
        })
      }
      {...rest}
    />
  );
}

/** A form whose content nobody would miss. */
export function PlainForm({ children, ...rest }: ComponentProps<"form">) {
  return (
    <form noValidate {...rest}>
      {children}
    </form>
  );
}

/** Closes a form, and asks first when something would be lost. */
export function Cancel({ onClick }: { onClick: () => void }) {
  const { t } = useTranslation();
  const leave = useLeave();
  return <Button onClick={() => leave(onClick)}>{t("common.cancel")}</Button>;
}
