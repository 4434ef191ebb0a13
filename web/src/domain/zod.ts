/** zod, told not to compile its checks with `eval`: our content policy would refuse and report it. */
import { z } from "zod";
import { say } from "#/i18n";

z.config({ jitless: true });

export { z };

/** For `max`: in words that name the limit. */
export const atMost = (max: number) => ({ error: () => say("form.tooLong", { max }) });
