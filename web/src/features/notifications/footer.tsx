import type { ReactNode } from "react";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Cancel } from "#/ui/form";

interface Props {
  form: string;
  busy: boolean;
  onClose: () => void;
  children?: ReactNode;
}

export function Footer({ form, busy, onClose, children }: Props) {
  const { t } = useTranslation();
  return (
    <>
      <Button look="primary" type="submit" form={form} busy={busy}>
        {t("common.save")}
      </Button>
      <Cancel onClick={onClose} />
      {children}
    </>
  );
}
