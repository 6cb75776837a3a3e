import css from "./style/widget.css";

declare const BUILD_ID: string;

const ATTRIBUTE = "data-holysheep-style";

function adopt(root: Document | ShadowRoot, document: Document): void {
  const holder = "head" in root ? root.head : root;
  if (holder.querySelector(`style[${ATTRIBUTE}="${BUILD_ID}"]`)) return;
  const style = document.createElement("style");
  style.setAttribute(ATTRIBUTE, BUILD_ID);
  style.textContent = css;
  holder.append(style);
}

/** Brings the style into the page, and into the shadow root in which some hosts put their outputs. */
export function adoptStyle(element: Element): void {
  const document = element.ownerDocument;
  adopt(document, document);
  const root = element.getRootNode();
  if (root !== document && "host" in root) adopt(root as ShadowRoot, document);
}
