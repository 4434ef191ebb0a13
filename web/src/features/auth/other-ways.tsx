import { useQuery, useQueryClient } from "@tanstack/react-query";
import { LogIn } from "lucide-react";
import { ApiError, http, take } from "#/api/client";
import { beginSession, methodsQuery } from "#/api/session";
import { PasskeyButton, passkeysWork } from "#/domain/passkey";
import { useTranslation } from "#/i18n";
import { buttonClass } from "#/ui/button";
import { startHref } from "./problems";

interface OtherWaysProps {
  next: string | undefined;
  onDone: () => void;
  onError: (error: unknown) => void;
}

/** The ways to sign in that are not a password. Nothing is shown before it is known which there are. */
export function OtherWays({ next, onDone, onError }: OtherWaysProps) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { data: methods } = useQuery(methodsQuery);
  const passkeys = methods?.passkeys && passkeysWork();
  if (!methods || (!passkeys && methods.providers.length === 0)) return null;
  return (
    <div className="mt-5 flex flex-col gap-2.5">
      <p className="mb-1 flex items-center gap-3 text-xs text-muted before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
        {t("auth.or")}
      </p>
      {passkeys ? (
        <PasskeyButton
          label={t("auth.passkey")}
          className="h-9"
          ask={() => take(http.POST("/api/v1/auth/passkeys/challenge", {}))}
          send={async (body) => {
            try {
              await beginSession(client, await take(http.POST("/api/v1/auth/passkeys/login", { body })));
            } catch (error) {
              if (error instanceof ApiError && error.status === 401) throw new Error(t("auth.passkeyWrong"));
              throw error;
            }
            onDone();
          }}
          onError={onError}
        />
      ) : null}
      {methods.providers.map(({ slug, name }) => (
        <a key={slug} href={startHref(slug, next)} className={buttonClass("plain", "h-9 min-w-0")}>
          <LogIn aria-hidden className="size-4 shrink-0" />
          <span className="truncate">{t("auth.continueWith", { name })}</span>
        </a>
      ))}
    </div>
  );
}
