/** How many pixels a text takes, as the browser would draw it. */

/** Pixels of an average character, where nothing can be measured. */
const AVERAGE = 7.4;
/** Of a character of the one font whose characters are all alike, as `.mono` sets it. */
const MONO = 7.2;
/** The longest texts by their letters are measured; a wide one among the shorter ones is not longer by much. */
const MEASURED = 12;

let context: CanvasRenderingContext2D | null | undefined;
let family = "";

function wide(text: string, font: string): number {
  if (context === undefined) {
    context = document.createElement("canvas").getContext("2d");
    family = getComputedStyle(document.body).fontFamily || "sans-serif";
  }
  if (!context) return text.length * AVERAGE;
  context.font = `${font} ${family}`;
  return context.measureText(text).width;
}

/** The widest of some texts. `font` is weight and size, such as "500 13px". */
export function widest(texts: Iterable<string>, font: string, mono = false): number {
  const longest = [...new Set(texts)].sort((a, b) => b.length - a.length).slice(0, MEASURED);
  if (mono) return (longest[0]?.length ?? 0) * MONO;
  return longest.reduce((most, text) => Math.max(most, wide(text, font)), 0);
}
