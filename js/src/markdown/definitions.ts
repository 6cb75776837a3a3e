import { decodeEntities } from "./entities";

const LABEL = /^\[((?:[^\\[\]]|\\[\s\S]){1,999})\]:/;
const GAP = /^[ \t]*\n?[ \t]*/;
const ANGLE_DESTINATION = /^<((?:\\.|[^\n<>\\])*)>/;
const BARE_DESTINATION = /^[^\s]+/;
const TITLE =
  /^(?:"((?:\\[\s\S]|[^"\\])*)"|'((?:\\[\s\S]|[^'\\])*)'|\(((?:\\[\s\S]|[^()\\])*)\))[ \t]*(?:\n|$)/;
const LINE_END = /^[ \t]*(?:\n|$)/;
const ESCAPED = /\\([!-/:-@[-`{-~])/g;

export interface LinkTarget {
  href: string;
  title: string;
}

/** Case and white space do not distinguish labels. */
export function normalizeLabel(label: string): string {
  return label.trim().replace(/\s+/g, " ").toLowerCase().toUpperCase().toLowerCase();
}

export function unescapeText(text: string): string {
  return decodeEntities(text.replace(ESCAPED, (_, char: string) => (char === "&" ? "&amp;" : char)));
}

/** The link targets and footnotes defined so far; tells who waits for a label when it is defined. */
export class Definitions {
  readonly links: Record<string, LinkTarget> = Object.create(null);
  readonly footnotes = new Map<string, number>();
  private readonly waiting = new Map<string, Set<() => void>>();

  defineLink(label: string, target: LinkTarget): void {
    if (this.links[label]) return;
    this.links[label] = target;
    this.announce(label);
  }

  defineFootnote(label: string, ordinal: number): void {
    if (this.footnotes.has(label)) return;
    this.footnotes.set(label, ordinal);
    this.announce(`^${label}`);
  }

  isDefined(label: string): boolean {
    return label in this.links || (label.startsWith("^") && this.footnotes.has(label.slice(1)));
  }

  awaitLabel(label: string, refresh: () => void): void {
    const waiters = this.waiting.get(label) ?? new Set();
    this.waiting.set(label, waiters.add(refresh));
  }

  private announce(label: string): void {
    const waiters = this.waiting.get(label);
    this.waiting.delete(label);
    for (const refresh of waiters ?? []) refresh();
  }
}

/**
 * Takes the link reference definitions off the start of a paragraph.
 * Returns the text that remains; each definition found goes to `define`.
 */
export function takeDefinitions(text: string, define: (label: string, target: LinkTarget) => void): string {
  let rest = text;
  while (rest.startsWith("[")) {
    const found = readDefinition(rest);
    if (!found) break;
    define(found.label, found.target);
    rest = rest.slice(found.length);
  }
  return rest;
}

function readDefinition(text: string): { label: string; target: LinkTarget; length: number } | null {
  const labelMatch = LABEL.exec(text);
  const label = labelMatch && normalizeLabel(labelMatch[1]!);
  if (!label) return null;
  let at = labelMatch[0].length;
  at += GAP.exec(text.slice(at))![0].length;
  const angle = ANGLE_DESTINATION.exec(text.slice(at));
  const destination = angle ?? BARE_DESTINATION.exec(text.slice(at));
  if (!destination || (!angle && !isBareDestination(destination[0]))) return null;
  at += destination[0].length;
  const href = unescapeText(angle ? angle[1]! : destination[0]);

  const gap = GAP.exec(text.slice(at))![0];
  const title = gap ? TITLE.exec(text.slice(at + gap.length)) : null;
  if (title) {
    const content = title[1] ?? title[2] ?? title[3] ?? "";
    const length = at + gap.length + title[0].length;
    return { label, target: { href, title: unescapeText(content) }, length };
  }
  const end = LINE_END.exec(text.slice(at));
  return end ? { label, target: { href, title: "" }, length: at + end[0].length } : null;
}

function isBareDestination(text: string): boolean {
  if (text.startsWith("<")) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "(") depth++;
    else if (text[at] === ")" && --depth < 0) return false;
  }
  return depth === 0;
}
