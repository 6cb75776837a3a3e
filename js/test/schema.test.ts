import assert from "node:assert/strict";
import { test } from "node:test";
import { expectation, fits, readSchema, shapeOf } from "../src/approval/schema";
import { isObject } from "../src/json_text";

function kindOf(schema: unknown, root: unknown = {}): string {
  const shape = shapeOf(schema, isObject(root) ? root : {});
  return shape.kind + (shape.isNullable ? " or null" : "");
}

test("a schema's types have the controls that suit them", () => {
  assert.equal(kindOf({ type: "string" }), "text");
  assert.equal(kindOf({ type: "integer" }), "integer");
  assert.equal(kindOf({ type: "number" }), "number");
  assert.equal(kindOf({ type: "boolean" }), "boolean");
  assert.equal(kindOf({ enum: ["a", "b"] }), "choice");
  assert.equal(kindOf({ const: 3 }), "choice");
  assert.equal(kindOf({ type: "array", items: { type: "string" } }), "json");
  assert.equal(kindOf({ type: "object" }), "json");
  assert.equal(kindOf({ type: ["string", "integer"] }), "json");
  assert.equal(kindOf({}), "json or null");
});

test("a type or null is the type, nullable", () => {
  assert.equal(kindOf({ anyOf: [{ type: "integer" }, { type: "null" }] }), "integer or null");
  assert.equal(kindOf({ type: ["string", "null"] }), "text or null");
  assert.equal(kindOf({ enum: ["a", null] }), "choice or null");
  assert.equal(kindOf({ anyOf: [{ type: "object" }, { type: "string" }] }), "json");
});

test("a reference is followed, with what is said beside it", () => {
  const root = { $defs: { Unit: { enum: ["m", "km"], description: "of Unit" }, "a/b": { type: "integer" } } };
  assert.equal(kindOf({ $ref: "#/$defs/Unit" }, root), "choice");
  assert.equal(kindOf({ $ref: "#/$defs/a~1b" }, root), "integer");
  assert.equal(kindOf({ allOf: [{ $ref: "#/$defs/Unit" }] }, root), "choice");
  assert.equal(kindOf({ anyOf: [{ $ref: "#/$defs/Unit" }, { type: "null" }] }, root), "choice or null");
  assert.equal(shapeOf({ $ref: "#/$defs/Unit", description: "own" }, root).description, "own");
});

test("references in a circle, to nowhere, outwards and deep down end", () => {
  const root = {
    $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" }, c: { anyOf: [{ $ref: "#/$defs/c" }] } },
  };
  for (const $ref of ["#/$defs/a", "#/$defs/c", "#/$defs/none", "#/constructor", "http://evil/x", "#"]) {
    assert.match(kindOf({ $ref }, root), /^json/);
  }
  let deep: unknown = { type: "string" };
  for (let i = 0; i < 50; i += 1) deep = { anyOf: [deep] };
  assert.match(kindOf(deep), /^json/);
});

test("a schema that is none has no arguments", () => {
  for (const schema of [null, [], "x", { properties: [1] }, { required: 3 }]) {
    assert.doesNotThrow(() => readSchema(schema));
  }
  assert.equal(readSchema(null).shapes.size, 0);
});

test("a value of another type does not fit, and what would is named", () => {
  const whole = shapeOf({ type: "integer" }, {});
  assert.ok(fits(3, "3", whole));
  assert.ok(!fits(3.5, "3.5", whole));
  assert.ok(!fits("3", '"3"', whole));
  assert.equal(expectation(whole), "a whole number");
  const list = shapeOf({ type: "array" }, {});
  assert.ok(fits([], "[]", list));
  assert.ok(!fits({}, "{}", list));
  assert.equal(expectation(list), "a list in brackets");
  assert.ok(fits(null, "null", shapeOf({ type: ["string", "null"] }, {})));
  assert.ok(!fits(null, "null", shapeOf({ type: "string" }, {})));
});
