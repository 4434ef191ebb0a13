import { useNavigate } from "@tanstack/react-router";
import { CircleUser, Download, LogOut, Monitor, Moon, Sun, UserCog } from "lucide-react";
import { useAuth } from "#/api/session";
import { useTranslation } from "#/i18n";
import { IconButton } from "#/ui/button";
import { leave } from "#/ui/guard";
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLink, MenuSeparator } from "#/ui/menu";
import { setTheme, type Theme, useTheme } from "#/ui/theme";
import { signOutSaid } from "./sign-out";

export function AccountMenu() {
  const { t } = useTranslation();
  const { me, signOut } = useAuth();
  const theme = useTheme();
  const navigate = useNavigate();
  return (
    <Menu
      label={t("frame.account")}
      trigger={
        <IconButton label={t("frame.accountOf", { name: me.user.username })}>
          <CircleUser aria-hidden className="size-[18px]" strokeWidth={1.75} />
        </IconButton>
      }
    >
      <MenuLabel>
        <span className="block font-medium">{me.user.username}</span>
        <span className="block text-xs text-muted">{t(`roles.${me.user.role}`)}</span>
      </MenuLabel>
      <MenuSeparator />
      <MenuChoice
        label={t("frame.theme")}
        value={theme}
        onChange={(value) => setTheme(value as Theme)}
        options={[
          { value: "system", label: t("theme.system"), icon: <Monitor aria-hidden className="size-3.5" /> },
          { value: "dark", label: t("theme.dark"), icon: <Moon aria-hidden className="size-3.5" /> },
          { value: "light", label: t("theme.light"), icon: <Sun aria-hidden className="size-3.5" /> },
        ]}
      />
      <MenuSeparator />
      <MenuItem onSelect={() => void navigate({ to: "/account" })}>
        <UserCog aria-hidden className="size-4 text-muted" />
        {t("frame.ownAccount")}
      </MenuItem>
      <MenuLink href="/ca.crt" download="circuit-breaker-ca.crt">
        <Download aria-hidden className="size-4 text-muted" />
        {t("frame.caRoot")}
      </MenuLink>
      <MenuItem onSelect={() => leave(() => signOutSaid(signOut))}>
        <LogOut aria-hidden className="size-4 text-muted" />
        {t("frame.signOut")}
      </MenuItem>
    </Menu>
  );
}
