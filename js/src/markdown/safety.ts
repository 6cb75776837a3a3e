/** Everything that decides what of a model's answer may become an element, an attribute or an address. */

export const RAW_TAGS = new Set("b i em strong u s sub sup kbd mark small ins del".split(" "));

const LINK_PROTOCOLS = new Set(["http:", "https:", "mailto:"]);
const IMAGE_PROTOCOLS = new Set(["http:", "https:"]);

export const MATH_TAGS = new Set(
  (
    "math mrow mi mn mo ms mtext mspace mstyle mfrac msqrt mroot msub msup msubsup munder mover " +
    "munderover mmultiscripts mprescripts mtable mtr mtd mpadded mphantom menclose merror semantics none"
  ).split(" "),
);

export const MATH_ATTRIBUTES = new Set(
  (
    "display displaystyle scriptlevel mathvariant stretchy fence separator form lspace rspace symmetric " +
    "largeop movablelimits accent accentunder minsize maxsize linethickness columnalign columnspacing " +
    "columnlines rowspacing rowlines rowalign columnspan rowspan frame notation width height depth " +
    "voffset mathcolor mathbackground mathsize intent arg"
  ).split(" "),
);

export const MATH_STYLES = new Set(
  (
    "color backgroundColor border borderTop borderBottom borderLeft borderRight padding paddingLeft " +
    "paddingRight paddingTop paddingBottom margin marginLeft marginRight marginTop marginBottom " +
    "textAlign width height minWidth fontWeight fontStyle fontSize verticalAlign whiteSpace display " +
    "mathStyle mathDepth textTransform direction lineHeight"
  ).split(" "),
);

/** The classes temml's own style sheet knows. */
export const MATH_CLASS = /^(?:(?:tml|wbk|chr)-[a-z-]+|upstrike|downstrike|sout|menclose|mathcal|mathscr)$/;

/** A value with a function or an escape in it could name an address to load. */
export function isPlainValue(value: string): boolean {
  return value.length < 100 && !/[(\\@:;]/.test(value);
}

function parseUrl(href: string, protocols: Set<string>): URL | null {
  try {
    const url = new URL(href);
    return protocols.has(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** The address, if it is absolute and one a link may lead to. */
export function safeLink(href: string): URL | null {
  return parseUrl(href, LINK_PROTOCOLS);
}

export function safeImage(href: string): URL | null {
  return parseUrl(href, IMAGE_PROTOCOLS);
}
