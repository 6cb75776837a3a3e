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

/** A text with labels that nothing defined when it was shown. */
export interface Waiter {
  refresh(): void;
}

/** A text that waits for very many labels is not shown again for each of them before the end. */
const MAX_REFRESHES = 16;

/** The link targets and footnotes defined so far, and who waits for others. */
export class Definitions {
  readonly links: Record<string, LinkTarget> = Object.create(null);
  readonly footnotes = new Map<string, number>();
  private readonly waiting = new Map<string, Set<Waiter>>();
  private readonly refreshes = new Map<Waiter, number>();
  private due = new Set<Waiter>();

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

  awaitLabel(label: string, waiter: Waiter): void {
    const waiters = this.waiting.get(label) ?? new Set();
    this.waiting.set(label, waiters.add(waiter));
  }

  /** Shows again the texts whose labels have been defined since. */
  refreshDue(isFinal: boolean): void {
    const { due } = this;
    this.due = new Set();
    for (const waiter of due) {
      const count = (this.refreshes.get(waiter) ?? 0) + 1;
      this.refreshes.set(waiter, count);
      if (isFinal || count <= MAX_REFRESHES) waiter.refresh();
      else this.due.add(waiter);
    }
  }

  private announce(label: string): void {
    for (const waiter of this.waiting.get(label) ?? []) this.due.add(waiter);
    this.waiting.delete(label);
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
