import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Dialog } from "#/ui/dialog";
import { SecretText } from "#/ui/secret";

interface Props {
  name: string;
  secret: string;
  /** How whoever holds it proves or verifies something with it. */
  help: string;
  onClose: () => void;
}

/** The only time that a secret is shown. */
export function SecretDialog({ name, secret, help, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog
      title={t("notification.secretOf", { name })}
      description={t("notification.secretOnce")}
      open
      onClose={onClose}
    >
      <SecretText label={t("notification.secret")} text={secret} />
      <p className="mt-4 text-muted">{help}</p>
      <Button look="primary" className="mt-4" onClick={onClose}>
        {t("secret.done")}
      </Button>
    </Dialog>
  );
}
