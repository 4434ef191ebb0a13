import { say } from "#/i18n";
import { flushDeferred, toast } from "#/ui/toast";
import { forgetRecents } from "./recent";

/** Signs out, after what waits for its undo time was sent, and leaves nothing of what was chosen. Says so when it fails. */
export function signOutSaid(signOut: () => Promise<void>): void {
  flushDeferred("commit");
  forgetRecents();
  // Once more when the pages are gone: one of them may have been remembered on the way out.
  signOut().then(forgetRecents, () => toast(say("frame.signOutFailed"), { tone: "error" }));
}
