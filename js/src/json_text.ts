/**
 * JSON as text. Numbers stay as they are written: read into JavaScript and written again, a long one would be
 * another number than the one that Python gets.
 */

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+/g;
const MAX_INDENTED = 200_000;
/** Characters that are not seen, or that turn the ones around them. */
const UNSEEN = /[\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value, or undefined, which no JSON text gives, if it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The same text with every character that is not seen written as its code. */
export function revealed(text: string): string {
  return text.replace(UNSEEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The text over several lines, as Python's `json.dumps(…, indent=2)` has it; as it is, if it is not JSON. */
export function indentJson(text: string): string {
  if (text.length > MAX_INDENTED || parseJson(text) === undefined) return text;
  let indented = "";
  let indent = "\n";
  let previous = "";
  for (const token of tokensOf(text)) {
    const isEnd = token === "}" || token === "]";
    const isAfterOpening = previous === "{" || previous === "[";
    if (isEnd) indent = indent.slice(0, -2);
    if (isEnd ? !isAfterOpening : isAfterOpening || previous === ",") indented += indent;
    else if (previous === ":") indented += " ";
    indented += token;
    if (token === "{" || token === "[") indent += "  ";
    previous = token;
  }
  return indented;
}

/** True when both texts say the same, however they are spaced. */
export function isSameJson(one: string, other: string): boolean {
  return one === other || tokensOf(one).join("") === tokensOf(other).join("");
}

/** The members of an object, each value as it is written; undefined if the text is not an object. */
export function membersOf(text: string): Map<string, string> | undefined {
  if (!isObject(parseJson(text))) return undefined;
  const members = new Map<string, string>();
  let depth = 0;
  let key: string | undefined;
  let start = -1;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (depth === 1) {
      if (key === undefined && token.startsWith('"')) key = JSON.parse(token) as string;
      else if (start < 0 && token === ":") start = index + 1;
      else if (key !== undefined && (token === "," || token === "}")) {
        members.set(key, text.slice(start, index).trim());
        key = undefined;
        start = -1;
      }
    }
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
  }
  return members;
}

export function objectText(members: Iterable<readonly [string, string]>): string {
  const items = [...members].map(([name, value]) => `${JSON.stringify(name)}: ${value}`);
  return `{${items.join(", ")}}`;
}

function tokensOf(text: string): string[] {
  const tokens = text.match(TOKEN) ?? [];
  return tokens.map((token) => {
    const value = token.startsWith('"') ? parseJson(token) : undefined;
    return value === undefined ? token : revealed(JSON.stringify(value));
  });
}
