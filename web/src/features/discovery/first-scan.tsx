import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/discovery.json";
import logo from "#/icon.svg?inline";
import { Button } from "#/ui/button";
import { ScanForm } from "./scan-form";

addWords(words);

/** The second step of setup: the own subnet, what the scanner can do here, and go. */
export function FirstScan({ onStarted, onLater }: { onStarted: () => void; onLater: () => void }) {
  const { t } = useTranslation();
  return (
    <main className="flex min-h-full items-start justify-center overflow-y-auto px-4 py-[7vh]">
      <div className="w-full max-w-xl">
        <div className="mb-7 flex items-center gap-3">
          <img src={logo} alt="" className="size-9" />
          <span className="text-base font-semibold">Circuit Breaker</span>
        </div>
        <h1 className="text-xl font-semibold tracking-tight">{t("firstScan.title")}</h1>
        <p className="mt-1.5 mb-6 text-base text-muted">{t("firstScan.lead")}</p>
        <ScanForm
          showCapabilities
          startLabel={t("firstScan.start")}
          onStarted={onStarted}
          secondary={
            <Button look="ghost" onClick={onLater}>
              {t("firstScan.later")}
            </Button>
          }
        />
      </div>
    </main>
  );
}
