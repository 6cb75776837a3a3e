import { Announcer } from "./announcer";
import { appendElement, holdsFocus, setText } from "./element";
import { Footer } from "./footer";
import { Frames } from "./frames";
import type { Host } from "./host";
import type { Change } from "./replica";
import type { Cancel, Session, SessionListener } from "./session";
import { StatusLine } from "./status";
import { adoptStyle } from "./style";
import { Transcript } from "./transcript";

/** One showing of a session under `parent`. A session may have several, opened at any time. */
export class View implements SessionListener {
  readonly root: HTMLElement;
  readonly #session: Session;
  readonly #host: Host;
  readonly #frames: Frames;
  readonly #prompt: HTMLElement;
  readonly #status: StatusLine;
  readonly #transcript: Transcript;
  readonly #footer: Footer;
  readonly #announcer: Announcer;
  readonly #unsubscribe: Cancel;

  constructor(parent: Element, session: Session, host: Host = {}) {
    const window = parent.ownerDocument.defaultView!;
    this.#session = session;
    this.#host = host;
    this.root = appendElement(parent, "div", "holysheep");
    this.root.tabIndex = -1;
    adoptStyle(this.root);
    this.#prompt = appendElement(this.root, "div", "holysheep-prompt");
    const announcements = appendElement(this.root, "div", "holysheep-announcer");
    const transcript = appendElement(this.root, "div", "holysheep-transcript");
    this.#transcript = new Transcript(transcript, session.parts, session.calls, session.answerFormat, host);
    this.#status = new StatusLine(appendElement(this.root, "div", "holysheep-status"), session, window);
    const notice = appendElement(this.root, "div", "holysheep-notice");
    this.#footer = new Footer(notice, appendElement(this.root, "div", "holysheep-footer"), session);
    this.#announcer = new Announcer(announcements, session.status, session.parts, window);
    this.#frames = new Frames(window, () => this.#show());
    this.root.addEventListener("keydown", (event) => this.#stopOnEscape(event));
    this.#unsubscribe = session.subscribe(this);
    this.#show();
  }

  transcriptChanged(change: Change): void {
    this.#transcript.gather(change);
    if (change.kind === "appended" && this.#session.parts[change.index]?.type === "text") {
      this.#announcer.hear(change.text);
    }
    this.#frames.request();
  }

  stateChanged(): void {
    this.#frames.request();
  }

  close(): void {
    this.#unsubscribe();
    this.#frames.cancel();
    this.#status.close();
    this.#transcript.close();
    this.#announcer.close();
    this.root.remove();
  }

  #show(): void {
    const session = this.#session;
    if (session.frozen && this.#host.freeze?.(session.frozen)) return;
    setText(this.#prompt, session.prompt);
    this.#prompt.hidden = !session.showsPrompt || session.prompt === "";
    const hadFocus = holdsFocus(this.root);
    this.#transcript.flush(session.parts, session.isSettled);
    // What had the focus may be gone with its part: kept in the widget, or the page would forget the place.
    if (hadFocus && !holdsFocus(this.root)) this.root.focus({ preventScroll: true });
    this.#transcript.element.classList.toggle(
      "holysheep-is-streaming",
      session.status?.state === "streaming",
    );
    // The same when it was on Stop, which is about to go.
    if (this.#status.isFocusEnding) this.root.focus({ preventScroll: true });
    this.#status.update();
    this.#footer.update();
    this.#announcer.update(session.status, session.parts);
  }

  #stopOnEscape(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.isComposing || event.defaultPrevented) return;
    if (!this.#session.isRunning || this.#session.isStopRequested) return;
    event.preventDefault();
    event.stopPropagation();
    this.#session.stop();
  }
}
