import { useEffect, useRef } from "react";
import { ErrorBox } from "./feedback";

/** What no field of a form could take, at its head. Whoever pressed the button below sees it wherever the form is scrolled to. */
export function FormError({ error }: { error: unknown }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (error) box.current?.scrollIntoView({ block: "nearest" });
  }, [error]);
  return error ? (
    <div ref={box}>
      <ErrorBox error={error} />
    </div>
  ) : null;
}
