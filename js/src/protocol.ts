/** The words of the comm: what the kernel sends as traits, and the commands that go back as custom messages. */

interface PartBase {
  /** False once nothing more will be appended to this part. */
  is_open?: boolean;
}

export interface TextPart extends PartBase {
  type: "text";
  text: string;
}

export interface ReasoningPart extends PartBase {
  type: "reasoning";
  text: string;
  /** How long the model thought; null while it still does. */
  seconds: number | null;
}

/** Queued: approved, and a call before it is not done. Stopped: the run ended while the call was running. */
export type ToolCallState = "writing" | "waiting" | "queued" | "running" | "done" | "stopped";

/** What a person is asked about a call. */
export interface Question {
  /** The JSON schema of the arguments. */
  schema: Record<string, unknown>;
  description: string;
  /** Why the arguments the person sent before will not do, or "". */
  problem: string;
  /** Those arguments, as JSON text, or "". */
  arguments: string;
}

export interface ToolCallPart extends PartBase {
  type: "tool_call";
  call_id: string;
  name: string;
  /** JSON text, incomplete while the part is open. */
  arguments: string;
  state: ToolCallState;
  /** The JSON text of the arguments as the person changed them, or "". */
  edited: string;
  /** There only while the call waits. */
  question: Question | null;
}

export type ToolOutcome = "ok" | "error" | "invalid" | "denied" | "stopped";

export interface ToolResultPart extends PartBase {
  type: "tool_result";
  call_id: string;
  /** What the model is told. */
  text: string;
  outcome: ToolOutcome;
  seconds: number;
  /** What only the person sees, such as a traceback. */
  details: string;
  /** Data URLs. */
  images: string[];
  /** What the tool printed and displayed. */
  shown: MimeBundle[];
}

export type MimeBundle = Record<string, unknown>;

/** Where the answer was cut off and resumed. */
export interface SeamPart extends PartBase {
  type: "seam";
  /** What had ended it. */
  text: string;
}

export type Part = TextPart | ReasoningPart | ToolCallPart | ToolResultPart | SeamPart;

export interface TranscriptDocument {
  seq: number;
  parts: Part[];
}

export type Op = ["append", number, string] | ["part", number, Partial<Part>];

export interface Patch {
  seq: number;
  ops: Op[];
}

export type State =
  | "connecting"
  | "streaming"
  | "waiting"
  | "retrying"
  | "complete"
  | "stopped"
  | "truncated"
  | "failed"
  | "budget";

/** How the answer is to be read; text and json are shown as they are. */
export type AnswerFormat = "markdown" | "text" | "code" | "json";

export interface Status {
  /** The last patch sent before this; absent in a status made before there were any. */
  seq?: number;
  state: State;
  message: string;
  model: string;
  context: string;
  /** There while the request is about to be made again; `at_s` is when, on the run's own clock. */
  retry?: { problem: string; at_s: number; attempt: number; attempts: number } | null;
  /** True while the kernel would go on with an answer that was cut off. */
  can_resume?: boolean;
  /** The kernel's age of the run when this was sent. */
  seconds_since_start: number;
}

export interface Stats {
  first_delta_s: number | null;
  deltas_per_s: number | null;
  seconds: number;
  usage: { input_tokens: number; output_tokens: number; is_estimate?: boolean } | null;
  /** What it costs, in words; null while nobody has counted the tokens. */
  cost?: string | null;
}

/** The static output, for the page to put in the widget's place where the kernel's own update did not reach it. */
export interface Frozen {
  model_id: string;
  data: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

export interface Traits {
  document: TranscriptDocument;
  patch: Patch;
  status: Status;
  stats: Stats;
  prompt: string;
  shows_prompt: boolean;
  keep_hint: string;
  frozen: Frozen;
  answer_format: AnswerFormat;
  /** True while it is one of several answers side by side, whose heading names the model. */
  is_column: boolean;
}

/** One of several answers side by side; what it says is in the widget of that id. */
export interface Column {
  model_id: string;
  name: string;
  state: State;
  can_keep: boolean;
  is_kept: boolean;
}

/** Two answers word by word: what both have, or one of them alone. */
export interface Difference {
  columns: [left: number, right: number];
  pieces: ["same" | "left" | "right", string][];
  is_cut: boolean;
}

export interface ComparisonTraits {
  columns: Column[];
  /** What later cells go on from. */
  note: string;
  difference: Difference;
  frozen: Frozen;
  keep_hint: string;
}

export type Command =
  | { command: "hello"; view: string }
  | { command: "bye"; view: string }
  | { command: "stop" }
  | { command: "resume" }
  | { command: "keep"; column: number }
  | { command: "compare"; columns: [left: number, right: number] }
  | { command: "approve"; call_id: string; arguments: string | null; always: boolean }
  | { command: "deny"; call_id: string; reason: string }
  | { command: "resync"; seq: number };

const RUNNING: ReadonlySet<State> = new Set(["connecting", "streaming", "waiting", "retrying"]);

export function isRunning(status: Status | null): boolean {
  return status !== null && RUNNING.has(status.state);
}

export type GrowingField = "text" | "arguments";

/** The one field of a part that `append` adds to; everything else in it is metadata. */
export function growingField(part: Partial<Part>): GrowingField {
  return part.type === "tool_call" ? "arguments" : "text";
}

export function growingText(part: Part): string {
  return part.type === "tool_call" ? part.arguments : part.text;
}
