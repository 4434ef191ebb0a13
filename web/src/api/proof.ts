/**
 * A fresh proof of who one is. The server refuses some writes until a password or a code was shown within the last
 * minutes; `client.ts` then asks here, and repeats the request when the answer is yes. Owns the one open question: several
 * refused requests share it. The dialog (features/auth/proof.tsx) watches it; without a dialog the answer is no.
 */
interface Question {
  answer: Promise<boolean>;
  settle: (proved: boolean) => void;
}

let open: Question | null = null;
const watchers = new Set<() => void>();

function set(next: Question | null): void {
  open = next;
  for (const changed of watchers) changed();
}

export function askForProof(): Promise<boolean> {
  if (open) return open.answer;
  if (watchers.size === 0) return Promise.resolve(false);
  let settle: Question["settle"] = () => {};
  const answer = new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  set({ answer, settle });
  return answer;
}

export function answerProof(proved: boolean): void {
  const question = open;
  if (!question) return;
  set(null);
  question.settle(proved);
}

export function watchProof(changed: () => void): () => void {
  watchers.add(changed);
  return () => {
    watchers.delete(changed);
    // Whoever could have answered is gone (the session ended): nobody waits for ever.
    if (watchers.size === 0) answerProof(false);
  };
}

export function isProofAsked(): boolean {
  return open !== null;
}
