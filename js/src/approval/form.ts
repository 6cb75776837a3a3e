import { appendElement } from "../element";
import { membersOf, objectText } from "../json_text";
import { ArgumentField } from "./field";
import { readSchema, type Shape } from "./schema";

const MAX_FIELDS = 40;
const MAX_CHARACTERS = 50_000;

const ANYTHING: Shape = {
  kind: "json",
  isNullable: true,
  choices: [],
  types: [],
  format: "",
  description: "",
  fallback: "",
};

/** The arguments of a call as a field each, those of the schema and whatever else is given. */
export class ArgumentsForm {
  readonly #members: Map<string, string>;
  readonly #fields: ArgumentField[];

  /** A form, or undefined where only text will do: no object, or too much of one. */
  static open(parent: Element, text: string, schema: unknown): ArgumentsForm | undefined {
    const members = text.length > MAX_CHARACTERS ? undefined : membersOf(text);
    const { properties } = (schema ?? {}) as { properties?: object };
    if (!members || members.size + Object.keys(properties ?? {}).length > 2 * MAX_FIELDS) return undefined;
    const { shapes, required } = readSchema(schema);
    const names = new Set([...shapes.keys(), ...members.keys(), ...required]);
    if (names.size > MAX_FIELDS) return undefined;
    return new ArgumentsForm(parent, members, [...names], shapes, required);
  }

  private constructor(
    parent: Element,
    members: Map<string, string>,
    names: string[],
    shapes: Map<string, Shape>,
    required: Set<string>,
  ) {
    this.#members = members;
    const grid = appendElement(parent, "div", "holysheep-fields");
    this.#fields = names.map((name) => {
      return new ArgumentField(
        grid,
        name,
        shapes.get(name) ?? ANYTHING,
        members.get(name),
        required.has(name),
      );
    });
    grid.hidden = names.length === 0;
  }

  /** The arguments as JSON text; undefined if some will not do: that is said beside them, and the first has the focus. */
  read(): string | undefined {
    const readings = this.#fields.map((field) => [field, field.read()] as const);
    const bad = readings.find(([, value]) => value === undefined);
    if (bad) {
      bad[0].focus();
      return undefined;
    }
    const members = new Map(this.#members);
    for (const [field, value] of readings) {
      if (value === null) members.delete(field.name);
      else members.set(field.name, value!);
    }
    return objectText(members);
  }
}
