import { type FormEvent, type ReactNode, useState } from "react";
import { useTranslation } from "#/i18n";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { ErrorBox } from "./feedback";
import { TextField } from "./field";
import { Cancel, PlainForm } from "./form";
import { deliberately } from "./guard";

interface ConfirmProps {
  title: string;
  text: string;
  action: ReactNode;
  /** For what cannot be undone: the word that must be typed first. */
  word?: string;
  work: () => Promise<unknown>;
  onClose: () => void;
}

/** A question before what cannot be taken back. Stays open, with the reason, when it does not succeed. */
export function Confirm({ title, text, action, word, work, onClose }: ConfirmProps) {
  const { t } = useTranslation();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [typed, setTyped] = useState("");
  const ready = word === undefined || typed.trim() === word;

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    event.stopPropagation();
    if (!ready) return;
    setBusy(true);
    setError(null);
    try {
      // What it ends may hold a form with changes, such as the panel of what is deleted.
      await deliberately(async () => {
        await work();
        onClose();
      });
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }

  return (
    <Dialog title={title} description={text} open onClose={onClose}>
      <PlainForm onSubmit={submit} className="flex flex-col gap-4">
        {error ? <ErrorBox error={error} /> : null}
        {word === undefined ? null : (
          <TextField
            label={t("confirm.type", { word })}
            autoFocus
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
        <div className="flex gap-2">
          <Button type="submit" look="danger" autoFocus={word === undefined} busy={busy} disabled={!ready}>
            {action}
          </Button>
          <Cancel onClick={onClose} />
        </div>
      </PlainForm>
    </Dialog>
  );
}
