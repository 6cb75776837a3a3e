import type { ElementPiece, Piece } from "./patch";
import { safeImage, safeLink } from "./safety";

/** As a browser would send it: what an address may not hold is percent-encoded. */
function encodeAddress(href: string): string {
  try {
    return encodeURI(href).replace(/%25/g, "%");
  } catch {
    return "";
  }
}

function tooltip(title: string, address: string): string {
  return title ? `${title}\n${address}` : address;
}

/** A link that shows where it leads; one that leads anywhere but the web or to a mailbox is only text. */
export function linkPiece(href: string, title: string, text: string, children: Piece[]): ElementPiece {
  const address = encodeAddress(href);
  const url = safeLink(address);
  const name = tooltip(title, address);
  if (!url) {
    const create = () => createBlockedLink(name);
    return { key: `blocked ${name}`, create, children };
  }
  const host = url.host && !text.includes(url.host) ? url.host : "";
  const create = () => createLink(address, name, host);
  return { key: `link ${address} ${name} ${host}`, create, children };
}

function createLink(address: string, title: string, host: string): HTMLElement {
  const link = document.createElement("a");
  link.href = address;
  link.title = title;
  link.rel = "noopener noreferrer nofollow";
  link.target = "_blank";
  if (host) link.dataset.host = host;
  return link;
}

function createBlockedLink(title: string): HTMLElement {
  const element = document.createElement("span");
  element.className = "holysheep-blocked-link";
  element.title = title;
  return element;
}

/** An image that loads nothing before the reader asks for it. */
export function imagePiece(href: string, title: string, alt: string): ElementPiece {
  const address = encodeAddress(href);
  const create = () => createImage(address, title, alt);
  return { key: `image ${address} ${title} ${alt}`, create, alt };
}

function createImage(address: string, title: string, alt: string): HTMLElement {
  const element = document.createElement("span");
  element.className = "holysheep-image";
  element.title = tooltip(title, address);
  if (alt) element.append(alt);
  const url = safeImage(address);
  if (!url) return element;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `Load image from ${url.host}`;
  button.addEventListener("click", () => {
    const image = document.createElement("img");
    image.referrerPolicy = "no-referrer";
    image.alt = alt;
    image.src = url.href;
    element.replaceChildren(image);
  });
  element.append(button);
  return element;
}
