/** Puts the renderer's page and a reference's HTML into one form, without what only our page has. */

const VOID = new Set(["br", "hr", "img", "input"]);
const BLOCKS = "p|h[1-6]|ul|ol|li|blockquote|pre|hr|table|thead|tbody|tr|th|td|div";

/** The reference's HTML without white space that means nothing and with one spelling of references. */
export function normalizeHtml(html: string): string {
  const parts = html.split(/(<pre>[\s\S]*?<\/pre>)/);
  return parts
    .map((part, index) => (index % 2 ? part : normalizeFlow(part)))
    .join("")
    .trim();
}

function normalizeFlow(html: string): string {
  return html
    .replace(/<(br|hr|img|input)([^>]*?) ?\/>/g, "<$1$2>")
    .replace(/[ \t\n]+/g, " ")
    .replace(/ ?<br> ?/g, "<br>")
    .replace(new RegExp(` ?(</?(?:${BLOCKS})(?: [^>]*)?>) ?`, "g"), "$1");
}

function escapeText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function wrap(tag: string, attributes: [string, string | null][], content: string): string {
  const list = attributes.filter(([, value]) => value !== null && value !== "");
  const text = list.map(([name, value]) => ` ${name}="${escapeText(value!)}"`).join("");
  return VOID.has(tag) ? `<${tag}${text}>` : `<${tag}${text}>${content}</${tag}>`;
}

/** What our page would be as the HTML of the CommonMark specification. */
export function referenceForm(node: Node): string {
  if (node.nodeType === 3) return escapeText((node as Text).data);
  if (node.nodeType !== 1) return "";
  const element = node as HTMLElement;
  const inside = () => Array.from(element.childNodes, referenceForm).join("");
  const tag = element.tagName.toLowerCase();
  const titleLines = (element.getAttribute("title") ?? "").split("\n");
  const address = titleLines.pop() ?? "";
  const title = titleLines.join("\n");
  if (tag === "a")
    return wrap(
      "a",
      [
        ["href", element.getAttribute("href")],
        ["title", title],
      ],
      inside(),
    );
  if (element.className === "holysheep-blocked-link")
    return `<a href="${escapeText(address)}"${title ? ` title="${escapeText(title)}"` : ""}>${inside()}</a>`;
  if (element.className === "holysheep-image") return imageForm(element, address, title);
  if (element.className === "holysheep-code")
    return `<pre>${referenceForm(element.querySelector("code")!)}</pre>`;
  if (tag === "div" || tag === "span" || tag === "section") return inside();
  if (tag === "code")
    return wrap(
      "code",
      [["class", element.getAttribute("class")]],
      element.textContent.replace(/./gs, escapeText),
    );
  if (tag === "p" && element.parentElement?.parentElement?.classList.contains("holysheep-tight"))
    return `\n${inside()}\n`;
  if (tag === "input")
    return `<input type="checkbox" disabled=""${(element as HTMLInputElement).checked ? ' checked=""' : ""}>`;
  return wrap(
    tag,
    [
      ["start", element.getAttribute("start")],
      ["align", element.getAttribute("align")],
    ],
    inside(),
  );
}

function imageForm(element: HTMLElement, address: string, title: string): string {
  const alt = element.firstChild?.nodeType === 3 ? (element.firstChild as Text).data : "";
  return `<img src="${escapeText(address)}" alt="${escapeText(alt)}"${title ? ` title="${escapeText(title)}"` : ""}>`;
}
