/** A new element in the document of `parent`, appended to it. The only way elements are made outside markdown/. */
export function appendElement<Tag extends keyof HTMLElementTagNameMap>(
  parent: Element,
  tag: Tag,
  className = "",
  text = "",
): HTMLElementTagNameMap[Tag] {
  const element = parent.ownerDocument.createElement(tag);
  if (className !== "") element.className = className;
  if (text !== "") element.textContent = text;
  parent.append(element);
  return element;
}

/** Sets the text of an element that holds nothing else, touching the page only when it differs. */
export function setText(element: Element, text: string): void {
  const node = element.firstChild;
  if (node === null) element.append(text);
  else if (node.nodeValue !== text) node.nodeValue = text;
}

const ID_PREFIX = `holysheep-${Math.random().toString(36).slice(2)}`;
let idCount = 0;

/** Gives the element an id no other has, for labels and descriptions to point to. */
export function giveId(element: Element): string {
  idCount += 1;
  element.id = `${ID_PREFIX}-${idCount}`;
  return element.id;
}

/** Without it JupyterLab takes the keys pressed here as its own: Enter as "edit the cell", for one. */
export function keepKeys(element: Element): void {
  element.setAttribute("data-lm-suppress-shortcuts", "true");
}

/** Text as it is, which scrolls when it is long, also by keyboard. */
export function appendScrolling(parent: Element, className: string, text: string): HTMLElement {
  const pre = appendElement(parent, "pre", className, text);
  pre.tabIndex = 0;
  keepKeys(pre);
  return pre;
}

/** True when the keyboard focus is on the element or in it. */
export function holdsFocus(element: Element): boolean {
  const root = element.getRootNode() as Document | ShadowRoot;
  return element.contains(root.activeElement ?? null);
}
