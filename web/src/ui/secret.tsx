/** What is shown this once: as text that can be selected, with a button that copies it. */
import { Check, Copy } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "#/i18n";
import { Button, IconButton } from "./button";

/** `icon`: only a sign, beside the text that it copies. */
export function CopyButton({ text, label, icon }: { text: string; label: string; icon?: boolean }) {
  const { t } = useTranslation();
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => setState("idle"), 4_000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () => {
    // Without a secure context there is no clipboard; the text can still be selected.
    const written = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
    written.then(
      () => setState("copied"),
      () => setState("failed"),
    );
  };
  const sign =
    state === "copied" ? (
      <Check aria-hidden className="size-4 text-up-text" />
    ) : (
      <Copy aria-hidden className="size-4" />
    );
  return (
    <>
      {icon ? (
        <IconButton className="size-7" label={label} onClick={copy}>
          {sign}
        </IconButton>
      ) : (
        <Button onClick={copy}>
          {sign}
          {state === "copied" ? t("secret.copied") : label}
        </Button>
      )}
      <span role="status" className={state === "failed" ? "text-xs text-down-text" : "sr-only"}>
        {state === "copied" ? t("secret.copied") : state === "failed" ? t("secret.copyFailed") : ""}
      </span>
    </>
  );
}

export function SecretText({ label, text, help }: { label: string; text: string; help?: string }) {
  const { t } = useTranslation();
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const box = field.current;
    if (box) box.style.height = `${box.scrollHeight + 2}px`;
  }, []);
  return (
    <div className="flex flex-col gap-1.5">
      <label htmlFor={id} className="text-xs font-medium text-muted">
        {label}
      </label>
      <textarea
        id={id}
        ref={field}
        readOnly
        rows={1}
        value={text}
        spellCheck={false}
        onFocus={(event) => event.currentTarget.select()}
        className="mono w-full resize-none overflow-hidden rounded-md border border-line-strong bg-sunken px-2.5 py-1.5 break-all text-ink"
      />
      <div className="flex flex-wrap items-center gap-2">
        <CopyButton text={text} label={t("secret.copy")} />
        {help ? <span className="min-w-0 flex-1 text-xs text-muted">{help}</span> : null}
      </div>
    </div>
  );
}
