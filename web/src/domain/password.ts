/**
 * Advice on a new password, after NIST SP 800-63B: length counts, no composition rules, long ones are welcome, what is
 * easily guessed is named. The server decides; this only answers while typing.
 */
export const PASSWORD_MIN = 8;
const PASSWORD_ADVISED = 15;

type Advice = "empty" | "too_short" | "guessable" | "acceptable" | "good";

export function passwordAdvice(password: string, username: string): Advice {
  const length = [...password].length;
  if (length === 0) return "empty";
  if (length < PASSWORD_MIN) return "too_short";
  const lower = password.toLowerCase();
  const name = username.trim().toLowerCase();
  if (name.length >= 3 && lower.includes(name)) return "guessable";
  if (
    new Set(lower).size <= 3 ||
    isRun(lower) ||
    /^(password|circuit.?breaker|admin(istrator)?)[\d!.]*$/.test(lower)
  )
    return "guessable";
  return length < PASSWORD_ADVISED ? "acceptable" : "good";
}

/** "12345678", "abcdefgh", and the same downwards. */
function isRun(text: string): boolean {
  const codes = [...text].map((c) => c.codePointAt(0) ?? 0);
  const step = (codes[1] ?? 0) - (codes[0] ?? 0);
  if (Math.abs(step) > 1) return false;
  return codes.every((code, at) => at === 0 || code - (codes[at - 1] ?? 0) === step);
}

/** Filled steps of the meter, of four. */
export function meterSteps(advice: Advice, length: number): number {
  if (advice === "empty") return 0;
  if (advice === "too_short" || advice === "guessable") return 1;
  if (advice === "acceptable") return length < 12 ? 2 : 3;
  return 4;
}
