import { Lazy } from "./lazy";
import { isPlainValue, MATH_ATTRIBUTES, MATH_CLASS, MATH_STYLES, MATH_TAGS } from "./safety";

const MATHML = "http://www.w3.org/1998/Math/MathML";
const MAX_TEX_LENGTH = 4000;

/** What temml's tree is made of: elements, fragments without a type, and text. */
interface MathNode {
  type?: string;
  text?: string;
  attributes?: Record<string, unknown>;
  style?: Record<string, unknown>;
  classes?: string[];
  children?: MathNode[];
}

const temml = new Lazy(async () => (await import("temml")).default);

/** An element that shows the formula; its source until temml is there, and for good if it is not TeX. */
export function createFormula(tex: string, isDisplay: boolean, source: string): HTMLElement {
  const element = document.createElement("span");
  element.className = isDisplay ? "holysheep-math holysheep-math-display" : "holysheep-math";
  element.textContent = source;
  if (tex.length > MAX_TEX_LENGTH) return element;
  temml.use((module) => {
    const formula = renderFormula(module, tex, isDisplay);
    if (formula) element.replaceChildren(formula);
    else element.classList.add("holysheep-math-source");
  });
  return element;
}

type Temml = typeof import("temml").default;

function renderFormula(module: Temml, tex: string, isDisplay: boolean): Node | null {
  const options = { displayMode: isDisplay, trust: false, throwOnError: true, maxExpand: 200 };
  try {
    const tree: MathNode = module.__renderToMathMLTree(tex, { ...options, maxSize: [20, 20] });
    return copyNode(tree);
  } catch {
    return null;
  }
}

function copyNode(node: MathNode): Node {
  if (typeof node.text === "string" && !node.children) return document.createTextNode(node.text);
  const isKnown = node.type !== undefined && MATH_TAGS.has(node.type);
  const copy = isKnown ? copyElement(node) : document.createDocumentFragment();
  for (const child of node.children ?? []) copy.appendChild(copyNode(child));
  return copy;
}

function copyElement(node: MathNode): Element {
  const element = document.createElementNS(MATHML, node.type!) as MathMLElement;
  for (const [name, value] of Object.entries(node.attributes ?? {})) {
    if (MATH_ATTRIBUTES.has(name) && isPlainValue(String(value))) element.setAttribute(name, String(value));
  }
  for (const [name, value] of Object.entries(node.style ?? {})) {
    if (MATH_STYLES.has(name) && isPlainValue(String(value))) {
      const property = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      element.style?.setProperty(property, String(value));
    }
  }
  const classes = (node.classes ?? []).filter((name) => MATH_CLASS.test(name));
  if (classes.length > 0) element.setAttribute("class", classes.join(" "));
  return element;
}
