import { appendElement, appendScrolling } from "./element";
import type { MimeBundle } from "./protocol";

const IMAGE_TYPES: ReadonlySet<string> = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const MAX_CHARACTERS = 50_000;
const ESCAPE = String.fromCharCode(27);
const BELL = String.fromCharCode(7);
/** What terminals take as colours, titles and moves of the cursor. */
const TERMINAL_CODES = new RegExp(
  `${ESCAPE}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${BELL}${ESCAPE}]*(?:${BELL}|${ESCAPE}\\\\)|[@-Z\\\\^_])`,
  "g",
);

/** A data URL made anew of nothing but base64 and a type that is an image without a script; or undefined. */
export function imageUrl(type: string, data: unknown): string | undefined {
  if (!IMAGE_TYPES.has(type) || typeof data !== "string") return undefined;
  const base64 = data.replace(/\s+/g, "");
  return base64.length % 4 === 0 && BASE64.test(base64) ? `data:${type};base64,${base64}` : undefined;
}

/** The same for an image that comes as a data URL. */
export function checkedImageUrl(url: unknown): string | undefined {
  if (typeof url !== "string" || !url.startsWith("data:")) return undefined;
  const [type = "", data] = url.slice("data:".length).split(";base64,", 2);
  return imageUrl(type, data);
}

/** The first of a bundle's images that can be shown. */
export function bundleImageUrl(bundle: MimeBundle): string | undefined {
  for (const type of IMAGE_TYPES) {
    const url = Object.hasOwn(bundle, type) ? imageUrl(type, bundle[type]) : undefined;
    if (url !== undefined) return url;
  }
  return undefined;
}

export function bundleText(bundle: MimeBundle): string {
  const text = bundle["text/plain"];
  return typeof text === "string" ? text : "";
}

/** Text as it would stand in a terminal, without colours; very long text is cut, and says so. */
export function appendPlain(parent: Element, text: string): void {
  const plain = text
    .slice(0, 2 * MAX_CHARACTERS)
    .replace(TERMINAL_CODES, "")
    .slice(0, MAX_CHARACTERS);
  if (plain.trim() === "") return;
  const isCut = text.length > 2 * MAX_CHARACTERS || plain.length === MAX_CHARACTERS;
  appendScrolling(parent, "holysheep-tool-text", isCut ? `${plain}\n… (cut here)` : plain);
}

export function appendImage(parent: Element, url: string, description: string): void {
  const image = appendElement(parent, "img", "holysheep-tool-image");
  image.alt = description;
  image.src = url;
}
