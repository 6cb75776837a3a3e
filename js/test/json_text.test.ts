import assert from "node:assert/strict";
import { test } from "node:test";
import { indentJson, isSameJson, membersOf, objectText } from "../src/json_text";

test("indented JSON is what JSON.stringify makes of it", () => {
  for (const value of [
    {},
    [],
    { a: [] },
    { a: 1, b: [true, null, 'x, {y}: \\ "z"'] },
    [[{}], [1, [2]]],
    "s",
    3,
  ]) {
    assert.equal(indentJson(JSON.stringify(value)), JSON.stringify(value, null, 2));
  }
});

test("a number is shown as it is written, however long", () => {
  assert.equal(
    indentJson('{"id":12345678901234567890,"x":1.0}'),
    '{\n  "id": 12345678901234567890,\n  "x": 1.0\n}',
  );
});

test("text that is not JSON stays as it is", () => {
  for (const text of ["", '{"a": ', "{a: 1}", "NaN"]) assert.equal(indentJson(text), text);
});

test("escaped letters are shown as letters, and characters that are not seen as their codes", () => {
  assert.equal(indentJson('["\\u00e9", "a\u202eb", "\\u200b"]'), '[\n  "é",\n  "a\\u202eb",\n  "\\u200b"\n]');
});

test("members are found by name, each as it is written", () => {
  const members = membersOf('{"a" : 1.0, "b":{"a": [1, {"c": "}"}]} , "a\\"": "x,y","__proto__": null}')!;
  assert.deepEqual(
    [...members],
    [
      ["a", "1.0"],
      ["b", '{"a": [1, {"c": "}"}]}'],
      ['a"', '"x,y"'],
      ["__proto__", "null"],
    ],
  );
  assert.equal(membersOf(objectText(members))!.get("b"), '{"a": [1, {"c": "}"}]}');
});

test("only an object has members", () => {
  for (const text of ["[1]", "null", '"a"', '{"a": }', ""]) assert.equal(membersOf(text), undefined);
});

test("texts are the same when only their spacing and escapes differ", () => {
  assert.ok(isSameJson('{"a":[1,"é"]}', '{ "a" : [ 1, "\\u00e9" ] }'));
  assert.ok(!isSameJson('{"a": "b c"}', '{"a": "bc"}'));
  assert.ok(!isSameJson('{"a": 12345678901234567890}', '{"a": 12345678901234567891}'));
});
