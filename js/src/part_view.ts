import type { Part } from "./protocol";

/** Where a part stands in its turn. */
export interface Place {
  /** True while text may still be appended to the part. */
  isOpen: boolean;
  /** True when another part has begun after it. */
  isFollowed: boolean;
}

/** Shows one part. Text comes through `append`, at most once a frame; metadata through `update`. */
export interface PartView {
  readonly element: HTMLElement;
  /** True when `append` is no longer possible. */
  readonly isFinished: boolean;
  append(text: string): void;
  update(part: Part, place: Place): void;
  /** Ends what goes on by itself; the part is shown no longer. */
  close?(): void;
}

/** The host's own class names for rendered markdown, so that its style applies to ours. */
export const HOST_MARKDOWN_CLASSES = "jp-RenderedHTMLCommon jp-RenderedMarkdown";
