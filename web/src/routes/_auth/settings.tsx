import { createFileRoute } from "@tanstack/react-router";
import { SettingsPage } from "#/features/settings/page";

export const Route = createFileRoute("/_auth/settings")({
  staticData: { needs: "settings:read" },
  component: SettingsPage,
});
