/** Above a list: what its address narrows it to does not exist. */
import { Button } from "#/ui/button";
import { Warning } from "#/ui/feedback";

export function NoSuch({ text, all, onAll }: { text: string; all: string; onAll: () => void }) {
  return (
    <div className="flex flex-wrap items-center gap-3">
      <Warning className="p-2">{text}</Warning>
      <Button onClick={onAll}>{all}</Button>
    </div>
  );
}
