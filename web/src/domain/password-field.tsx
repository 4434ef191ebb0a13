import { Eye, EyeOff } from "lucide-react";
import { type ComponentProps, useState } from "react";
import { useTranslation } from "#/i18n";
import { IconButton } from "#/ui/button";
import { TextField } from "#/ui/field";

type Props = Omit<ComponentProps<typeof TextField>, "type" | "trailing">;

export function PasswordField(props: Props) {
  const { t } = useTranslation();
  const [shown, setShown] = useState(false);
  return (
    <TextField
      {...props}
      type={shown ? "text" : "password"}
      autoCapitalize="off"
      spellCheck={false}
      trailing={
        <IconButton
          label={shown ? t("auth.hidePassword") : t("auth.showPassword")}
          aria-pressed={shown}
          className="max-md:size-8"
          onClick={() => setShown(!shown)}
        >
          {shown ? <EyeOff aria-hidden className="size-4" /> : <Eye aria-hidden className="size-4" />}
        </IconButton>
      }
    />
  );
}
