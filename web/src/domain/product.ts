/** Vendor and model, each said once: "Brother" and "Brother HL-2270" are one Brother. The same wherever an asset is named by them. */
interface Product {
  vendor: string | null;
  model: string | null;
}

/** What a company is in law, at the end of its name. */
const legal = /[\s,]+(?:inc|ltd|llc|gmbh|ag|corp|corporation|co|company|s\.?a|b\.?v|limited)\.?$/i;

const plain = (text: string | null) => (text ?? "").trim().replaceAll(/\s+/g, " ");

/** The vendor as the model repeats it at its beginning, and what comes behind. */
function split({ vendor, model }: Product): { said: string; rest: string } {
  let rest = plain(model);
  let said = "";
  const whole = plain(vendor);
  const names = [whole, whole.replace(legal, ""), whole.replace(legal, "").replace(legal, "")].filter(
    Boolean,
  );
  for (let again = true; again; ) {
    again = false;
    for (const name of names) {
      const behind = rest.slice(name.length);
      if (rest.toLowerCase().startsWith(name.toLowerCase()) && /^(?:$|[\s,:/])/.test(behind)) {
        said ||= rest.slice(0, name.length);
        rest = behind.replace(/^[\s,:/]+/, "");
        again = true;
        break;
      }
    }
  }
  return { said, rest };
}

/** For where the vendor stands beside: nothing where the model is only the vendor again. */
export function modelName(product: Product): string {
  return split(product).rest;
}

/** Both in one line. */
export function productName(product: Product): string {
  const { said, rest } = split(product);
  const vendor = plain(product.vendor);
  if (said) return rest ? `${said} ${rest}` : vendor;
  // "Raspberry Pi Trading" has made the "Raspberry Pi 4".
  const [first = ""] = vendor.split(" ");
  // "Hewlett Packard" has made the "HP LaserJet".
  const initials = vendor
    .split(" ")
    .map((word) => word.charAt(0))
    .join("");
  if (initials.length > 1 && rest.startsWith(`${initials} `)) return rest;
  if (first.length > 2 && rest.toLowerCase().startsWith(`${first.toLowerCase()} `)) return rest;
  return [vendor, rest].filter(Boolean).join(" ");
}

/** Words for things that may be the same: each is said once. */
export function distinct(words: readonly (string | null | undefined)[]): string[] {
  const out: string[] = [];
  for (const word of words)
    if (word && !out.some((known) => known.toLowerCase() === word.toLowerCase())) out.push(word);
  return out;
}
