/** What a stretch of inline content shall look like: text, or an element that is the same while its key is. */
export type Piece = string | ElementPiece;

export interface ElementPiece {
  key: string;
  create: () => HTMLElement;
  /** The text that stands for it in an alternative text, if it is not that of the children. */
  alt?: string;
  /** Missing when `create` makes the content as well. */
  children?: Piece[];
}

const keys = new WeakMap<Node, string>();

/** Brings the nodes of `parent` behind `after` in line with the pieces, keeping every node that fits. */
export function patchNodes(parent: Node, after: ChildNode | null, pieces: Piece[]): void {
  let last = after;
  pieces.forEach((piece, index) => {
    const next = nextOf(parent, last);
    if (typeof piece !== "string") last = placeElement(parent, next, piece);
    else last = placeText(parent, next, piece, typeof pieces[index + 1] === "string");
  });
  for (let next = nextOf(parent, last); next; next = nextOf(parent, last)) next.remove();
}

/** The node `count` places behind `after`. */
export function nodeAt(parent: Node, after: ChildNode | null, count: number): ChildNode | null {
  let node = after;
  for (let left = count; left > 0; left--) node = nextOf(parent, node);
  return node;
}

function nextOf(parent: Node, node: Node | null): ChildNode | null {
  return node ? (node.nextSibling as ChildNode | null) : parent.firstChild;
}

function placeText(parent: Node, next: ChildNode | null, text: string, isFollowedByText: boolean): ChildNode {
  if (next?.nodeType !== Node.TEXT_NODE) return place(parent, next, document.createTextNode(text));
  const node = next as Text;
  if (node.data === text) return node;
  if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else if (isFollowedByText && node.data.startsWith(text)) node.splitText(text.length);
  else node.data = text;
  return node;
}

function placeElement(parent: Node, next: ChildNode | null, piece: ElementPiece): ChildNode {
  let node: ChildNode;
  if (next && keys.get(next) === piece.key) {
    node = next;
  } else {
    node = place(parent, next, piece.create());
    keys.set(node, piece.key);
  }
  if (piece.children) patchNodes(node, null, piece.children);
  return node;
}

function place(parent: Node, next: ChildNode | null, node: ChildNode): ChildNode {
  if (next) parent.replaceChild(node, next);
  else parent.appendChild(node);
  return node;
}
