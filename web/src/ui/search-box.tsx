import { Search } from "lucide-react";
import { type Ref, useEffect, useRef, useState } from "react";
import { cx } from "./cx";

const SETTLE_MS = 200;

/** A search whose value lives in the URL. Typing stays local and reaches the URL when it settles. */
export function SearchBox({
  label,
  value,
  onChange,
  className,
  inputRef,
  mono,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  className?: string;
  inputRef?: Ref<HTMLInputElement>;
  mono?: boolean;
}) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  useEffect(() => {
    // The URL changed by other means (back, a link): follow it.
    if (value !== sent.current) {
      sent.current = value;
      setText(value);
    }
  }, [value]);
  useEffect(() => {
    if (text === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = text;
      onChange(text);
    }, SETTLE_MS);
    return () => clearTimeout(timer);
  }, [text, onChange]);
  return (
    <div className={cx("relative", className)}>
      <Search
        aria-hidden
        className="pointer-events-none absolute top-1/2 left-2.5 size-4 -translate-y-1/2 text-faint"
      />
      <input
        ref={inputRef}
        type="search"
        aria-label={label}
        placeholder={label}
        spellCheck={false}
        autoComplete="off"
        className={cx(
          "h-8 w-full rounded-md border border-line-strong bg-canvas pr-2 pl-8 text-ellipsis text-sm max-md:h-10 max-md:text-base",
          mono && "mono",
        )}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && text) {
            event.preventDefault();
            event.stopPropagation();
            setText("");
          }
        }}
      />
    </div>
  );
}
