import type {
  Op,
  Part,
  Patch,
  Status,
  ToolCallPart,
  ToolResultPart,
  TranscriptDocument,
} from "../src/protocol";

/** The kernel's half of the protocol: folds deltas into parts and numbers the patches. */
export class FakeKernel {
  seq = 0;
  readonly parts: Part[] = [];

  get document(): TranscriptDocument {
    return structuredClone({ seq: this.seq, parts: this.parts });
  }

  open(part: Part): Patch {
    this.parts.push({ ...part });
    return this.#patch(["part", this.parts.length - 1, { ...part }]);
  }

  append(text: string, index = this.parts.length - 1): Patch {
    const part = this.parts[index]!;
    if (part.type === "tool_call") part.arguments += text;
    else part.text += text;
    return this.#patch(["append", index, text]);
  }

  change(metadata: Partial<Part>, index = this.parts.length - 1): Patch {
    Object.assign(this.parts[index]!, metadata);
    return this.#patch(["part", index, metadata]);
  }

  #patch(...ops: Op[]): Patch {
    this.seq += 1;
    return { seq: this.seq, ops };
  }
}

export function statusOf(state: Status["state"], more: Partial<Status> = {}): Status {
  return { state, message: "", model: "gpt-4.1", context: "", seconds_since_start: 0, ...more };
}

export function callOf(more: Partial<ToolCallPart> = {}): ToolCallPart {
  return {
    type: "tool_call",
    call_id: "c1",
    name: "query",
    arguments: "",
    state: "writing",
    edited: "",
    question: null,
    ...more,
  };
}

export function resultOf(more: Partial<ToolResultPart> = {}): ToolResultPart {
  return {
    type: "tool_result",
    call_id: "c1",
    text: "",
    outcome: "ok",
    seconds: 0,
    details: "",
    images: [],
    shown: [],
    ...more,
  };
}

/** Seeded, so that a failing run can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
