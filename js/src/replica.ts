import { growingField, type Op, type Part, type Patch, type TranscriptDocument } from "./protocol";

/** What happened to the parts, in the order in which it happened. */
export type Change =
  | { kind: "cut"; length: number }
  | { kind: "opened"; index: number }
  | { kind: "appended"; index: number; text: string }
  | { kind: "changed"; index: number };

/**
 * The browser's copy of the kernel's parts, kept equal by `document` and `patch` whatever is lost on the way.
 *
 * Patches beyond a gap are held out of the parts; `hasGap` is then true until the missing patch or a document
 * closes it. Whoever owns the replica asks the kernel for that document.
 */
export class Replica {
  seq = 0;
  readonly parts: Part[] = [];
  #documentSeq = 0;
  readonly #held = new Map<number, Patch>();
  readonly #emit: (change: Change) => void;

  constructor(emit: (change: Change) => void) {
    this.#emit = emit;
  }

  get hasGap(): boolean {
    return this.#held.size > 0;
  }

  /** True when the last thing applied was a whole document, so that nothing can be missing up to it. */
  get isConfirmed(): boolean {
    return !this.hasGap && this.#documentSeq === this.seq;
  }

  takeDocument(document: TranscriptDocument): void {
    if (document.seq < this.seq) return;
    this.seq = document.seq;
    this.#documentSeq = document.seq;
    this.#reconcile(document.parts);
    this.#applyHeld();
  }

  takePatch(patch: Patch): void {
    if (patch.seq <= this.seq) return;
    this.#held.set(patch.seq, patch);
    this.#applyHeld();
  }

  #applyHeld(): void {
    for (const seq of this.#held.keys()) {
      if (seq <= this.seq) this.#held.delete(seq);
    }
    for (let next = this.#nextHeld(); next; next = this.#nextHeld()) {
      this.#held.delete(next.seq);
      this.seq = next.seq;
      for (const op of next.ops) this.#apply(op);
    }
  }

  #nextHeld(): Patch | undefined {
    const next = this.#held.get(this.seq + 1);
    return next && this.#fits(next.ops) ? next : undefined;
  }

  /** A patch about a part that was never opened means the copies differ: it is treated like a gap. */
  #fits(ops: Op[]): boolean {
    let count = this.parts.length;
    return ops.every(([kind, index]) => {
      if (kind === "part" && index === count) count += 1;
      return index < count;
    });
  }

  #apply(op: Op): void {
    const [kind, index, value] = op;
    const part = this.parts[index];
    if (kind === "append") this.#append(index, value);
    else if (part === undefined) this.#open({ ...value } as Part);
    else this.#merge(index, { ...part, ...value } as Part);
  }

  #append(index: number, text: string): void {
    const part = this.parts[index] as Part & Record<string, string>;
    part[growingField(part)] += text;
    if (text !== "") this.#emit({ kind: "appended", index, text });
  }

  #open(part: Part): void {
    const index = this.parts.length;
    const field = growingField(part);
    const opened = { [field]: "", ...part } as Part & Record<string, string>;
    this.parts.push(opened);
    this.#emit({ kind: "opened", index });
    const text = opened[field] as string;
    if (text !== "") this.#emit({ kind: "appended", index, text });
  }

  #merge(index: number, next: Part): void {
    if (!this.#grow(index, next)) this.#rewrite(index, [next, ...this.parts.slice(index + 1)]);
  }

  #reconcile(next: readonly Part[]): void {
    let index = 0;
    while (index < this.parts.length && index < next.length && this.#grow(index, next[index]!)) index += 1;
    this.#rewrite(index, next.slice(index));
  }

  #rewrite(from: number, next: readonly Part[]): void {
    if (from < this.parts.length) {
      this.parts.length = from;
      this.#emit({ kind: "cut", length: from });
    }
    for (const part of next) this.#open({ ...part });
  }

  /** Takes over `next` without taking anything back; false when it is not the same part, only longer. */
  #grow(index: number, next: Part): boolean {
    const part = this.parts[index] as Part & Record<string, unknown>;
    const field = growingField(next);
    const before = part[field] as string;
    const after = ((next as Part & Record<string, unknown>)[field] ?? "") as string;
    if (part.type !== next.type || !after.startsWith(before)) return false;
    const isChanged = Object.entries(next).some(([key, value]) => key !== field && part[key] !== value);
    this.parts[index] = { ...next, [field]: after } as Part;
    if (isChanged) this.#emit({ kind: "changed", index });
    if (after.length > before.length) {
      this.#emit({ kind: "appended", index, text: after.slice(before.length) });
    }
    return true;
  }
}
