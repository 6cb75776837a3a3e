import { isObject, isSameJson, type JsonObject } from "../json_text";

const MAX_HOPS = 16;
const MAX_CHOICES = 200;

export type Kind = "text" | "integer" | "number" | "boolean" | "choice" | "json";

/** What one argument may be, as far as a form has to know. */
export interface Shape {
  kind: Kind;
  isNullable: boolean;
  /** For kind "choice": the values there are, as JSON text. */
  choices: string[];
  /** For kind "json": the types allowed; empty if any. */
  types: string[];
  /** The format of a text, such as "date", or "". */
  format: string;
  description: string;
  /** What it is when it is left out, as JSON text, or "". */
  fallback: string;
}

const KINDS: Record<string, Kind> = {
  string: "text",
  integer: "integer",
  number: "number",
  boolean: "boolean",
};

const EXPECTED: Record<string, string> = {
  text: "text",
  string: "text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  array: "a list in brackets",
  object: "an object in braces",
};

/** The shapes of the arguments by name, and the names of those that must be there. */
export function readSchema(schema: unknown): { shapes: Map<string, Shape>; required: Set<string> } {
  const root = isObject(schema) ? schema : {};
  const { properties, required } = resolve(root, root);
  const entries = isObject(properties) ? Object.entries(properties) : [];
  return {
    shapes: new Map(entries.map(([name, each]) => [name, shapeOf(each, root)])),
    required: new Set(Array.isArray(required) ? required.map(String) : []),
  };
}

export function shapeOf(schema: unknown, root: JsonObject, hops = MAX_HOPS): Shape {
  const own = resolve(schema, root);
  const shape: Shape = {
    kind: "json",
    isNullable: false,
    choices: [],
    types: [],
    format: typeof own.format === "string" ? own.format : "",
    description: typeof own.description === "string" ? own.description : "",
    fallback: own.default === undefined ? "" : JSON.stringify(own.default),
  };
  const alternatives = own.anyOf ?? own.oneOf;
  if (Array.isArray(alternatives)) return fromAlternatives(shape, alternatives, root, hops);
  const choices = own.const === undefined ? own.enum : [own.const];
  if (Array.isArray(choices) && choices.length <= MAX_CHOICES) {
    const texts = choices.map((each) => JSON.stringify(each));
    const isNullable = texts.includes("null") && texts.length > 1;
    return {
      ...shape,
      kind: "choice",
      isNullable,
      choices: texts.filter((each) => !isNullable || each !== "null"),
    };
  }
  const types = [own.type ?? []].flat().map(String);
  const others = types.filter((each) => each !== "null");
  const kind = (others.length === 1 && Object.hasOwn(KINDS, others[0]!) && KINDS[others[0]!]) || "json";
  const isNullable = types.length === 0 || others.length < types.length;
  return { ...shape, kind, isNullable, types: others };
}

/** True when a JSON value, given as its text too, is of the shape. */
export function fits(value: unknown, text: string, shape: Shape): boolean {
  if (value === null && shape.isNullable) return true;
  switch (shape.kind) {
    case "text":
      return typeof value === "string";
    case "integer":
      return Number.isInteger(value);
    case "number":
    case "boolean":
      return typeof value === shape.kind;
    case "choice":
      return shape.choices.some((choice) => isSameJson(choice, text));
    default:
      return shape.types.length === 0 || shape.types.some((type) => isOfType(value, type));
  }
}

/** What a value of the shape is, to go behind "must be". */
export function expectation({ kind, types, choices }: Shape): string {
  if (kind === "choice") return choices.length === 1 ? choices[0]! : "one of the choices";
  const names = (kind === "json" ? types : [kind]).map((each) => EXPECTED[each] ?? each);
  return names.join(" or ") || "JSON";
}

function fromAlternatives(shape: Shape, alternatives: unknown[], root: JsonObject, hops: number): Shape {
  const others = alternatives.filter((each) => resolve(each, root).type !== "null");
  if (others.length !== 1 || hops === 0) return { ...shape, isNullable: others.length < alternatives.length };
  const other = shapeOf(others[0], root, hops - 1);
  return {
    ...other,
    isNullable: other.isNullable || others.length < alternatives.length,
    description: shape.description || other.description,
    fallback: shape.fallback || other.fallback,
  };
}

/** What `$ref` and an `allOf` of one stand for, with what is said beside them; {} if they lead nowhere. */
function resolve(schema: unknown, root: JsonObject): JsonObject {
  let resolved = schema;
  for (let hops = 0; hops < MAX_HOPS && isObject(resolved); hops += 1) {
    const { $ref, allOf, ...beside } = resolved;
    let target: unknown;
    if (typeof $ref === "string") target = lookUp($ref, root);
    else if (Array.isArray(allOf) && allOf.length === 1) target = allOf[0];
    else return resolved;
    resolved = isObject(target) ? { ...target, ...beside } : undefined;
  }
  return {};
}

function lookUp(pointer: string, root: JsonObject): unknown {
  if (!pointer.startsWith("#/")) return undefined;
  let found: unknown = root;
  for (const step of pointer.slice(2).split("/")) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    found = isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  }
  return found;
}

function isOfType(value: unknown, type: string): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type || !(type in EXPECTED);
}
