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
