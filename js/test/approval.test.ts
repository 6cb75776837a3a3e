import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { ToolCallPart } from "../src/protocol";
import { callOf, statusOf } from "./fake_kernel";
import { isShown, textOf } from "./fake_page";
import { FakeQuestion, questionOf } from "./fake_question";

let asked: FakeQuestion;
afterEach(() => asked.lab.page.close());

const SCHEMA = {
  type: "object",
  properties: {
    sql: { type: "string", description: "What to run." },
    limit: { type: "integer", default: 10 },
    share: { type: "number" },
    dry: { type: "boolean" },
    unit: { $ref: "#/$defs/Unit" },
    tags: { type: "array", items: { type: "string" } },
    note: { anyOf: [{ type: "string" }, { type: "null" }] },
  },
  required: ["sql", "dry", "note"],
  $defs: { Unit: { enum: ["m", "km"] } },
};
const ARGUMENTS = '{"sql": "select 1", "limit": 100, "dry": true, "unit": "km", "tags": ["a"], "note": null}';

function ask(more: Partial<ToolCallPart> = {}): FakeQuestion {
  const question = questionOf({ schema: SCHEMA, description: "Runs a query." });
  asked = new FakeQuestion({ arguments: ARGUMENTS, question, ...more });
  return asked;
}

test("a waiting call shows what the tool does and a field for each argument", () => {
  ask();
  assert.equal(textOf(asked.element, ".holysheep-approval-description"), "Runs a query.");
  assert.equal(textOf(asked.element, ".holysheep-tool-call-state"), "· waiting for you");
  assert.equal(asked.find(".holysheep-approval").getAttribute("aria-label"), "Approve query?");
  assert.equal(asked.field("sql").value, "select 1");
  assert.equal(asked.field("limit").type, "number");
  assert.equal(asked.field("limit").value, "100");
  assert.equal(asked.field("dry").type, "checkbox");
  assert.equal(asked.field("dry").checked, true);
  assert.equal(asked.field("unit").tagName, "SELECT");
  assert.equal(textOf(asked.field("unit"), "option"), "m km");
  assert.equal(asked.field("tags").tagName, "TEXTAREA");
  assert.equal(asked.field("tags").value, '[\n  "a"\n]');
  assert.equal(textOf(asked.element, ".holysheep-field-help").includes("What to run."), true);
});

test("arguments that nobody touched are approved as null", () => {
  ask();
  asked.click(".holysheep-approve");
  assert.deepEqual(asked.decisions, [{ command: "approve", call_id: "c1", arguments: null, always: false }]);
});

test("an edit is sent as JSON text, with everything else as it was written", () => {
  ask({ arguments: ARGUMENTS.replace("100", "12345678901234567890") });
  asked.type(asked.field("sql"), 'select "2"');
  asked.check(asked.field("dry"), false);
  asked.type(asked.field("tags"), '["b", "c"]');
  asked.type(asked.field("share"), ".5");
  asked.click(".holysheep-approve");
  const [sent] = asked.decisions as { arguments: string }[];
  assert.equal(
    sent!.arguments,
    '{"sql": "select \\"2\\"", "limit": 12345678901234567890, "dry": false, "unit": "km", "tags": ["b", "c"], ' +
      '"note": null, "share": 0.5}',
  );
});

test("an edit that is taken back is no edit", () => {
  ask();
  asked.type(asked.field("sql"), "select 2");
  asked.type(asked.field("sql"), "select 1");
  asked.click(".holysheep-approve");
  assert.deepEqual(asked.decisions, [{ command: "approve", call_id: "c1", arguments: null, always: false }]);
});

test("an optional argument can be left out, and one that may be null can be null", () => {
  ask({ arguments: '{"sql": "s", "limit": 100, "dry": true, "note": "n"}' });
  asked.check(asked.find('[aria-label="set limit"]'), false);
  asked.check(asked.find('[aria-label="set note"]'), false);
  asked.click(".holysheep-approve");
  assert.equal(
    (asked.decisions[0] as { arguments: string }).arguments,
    '{"sql": "s", "dry": true, "note": null}',
  );
});

test("typing into an argument that is left out sets it", () => {
  ask({ arguments: '{"sql": "s", "dry": true, "note": null}' });
  assert.equal(asked.find<HTMLInputElement>('[aria-label="set limit"]').checked, false);
  assert.equal(asked.field("limit").placeholder, "default 10");
  asked.type(asked.field("limit"), "7");
  asked.type(asked.field("unit"), "0");
  asked.click(".holysheep-approve");
  assert.match((asked.decisions[0] as { arguments: string }).arguments, /"limit": 7, "unit": "m"}$/);
});

for (const [name, text, problem] of [
  ["limit", "1.5", "This must be a whole number."],
  ["limit", "", "This must be a whole number."],
  ["tags", "[1", "This must be a list in brackets."],
  ["tags", "{}", "This must be a list in brackets."],
] as const) {
  test(`${JSON.stringify(text)} for ${name} is refused beside the field, and nothing is sent`, () => {
    ask();
    const field = asked.field(name);
    asked.type(field, text);
    asked.click(".holysheep-approve");
    assert.deepEqual(asked.decisions, []);
    assert.equal(asked.problemOf(field), problem);
    assert.equal(field.getAttribute("aria-invalid"), "true");
    assert.equal(asked.lab.page.document.activeElement, field);
    asked.type(field, name === "limit" ? "2" : "[]");
    assert.equal(asked.problemOf(field), "");
    assert.equal(field.hasAttribute("aria-invalid"), false);
  });
}

test("a required argument that is not there is asked for", () => {
  ask({ arguments: '{"dry": true, "note": null}' });
  asked.click(".holysheep-approve");
  assert.deepEqual(asked.decisions, []);
  assert.equal(asked.problemOf(asked.field("sql")), "This is required.");
});

test("a text with line breaks has a textarea, and a date a date field", () => {
  const properties = { text: { type: "string" }, day: { type: "string", format: "date" } };
  ask({
    arguments: '{"text": "a\\nb", "day": "2026-11-24"}',
    question: questionOf({ schema: { properties } }),
  });
  assert.equal(asked.field("text").tagName, "TEXTAREA");
  assert.equal(asked.field("text").value, "a\nb");
  assert.equal(asked.field("day").type, "date");
  assert.equal(asked.field("day").value, "2026-11-24");
});

test("a value that its control could not show as it is becomes JSON", () => {
  const schema = { properties: { n: { type: "integer" }, s: { type: "string" }, e: { enum: ["a"] } } };
  ask({
    arguments: '{"n": "5", "s": "a\u202eb", "e": "z", "more": {"x": 1}}',
    question: questionOf({ schema }),
  });
  assert.equal(asked.field("n").value, '"5"');
  assert.equal(asked.field("s").value, '"a\\u202eb"');
  assert.equal(asked.field("e").value, '"z"');
  assert.equal(asked.field("more").value, '{\n  "x": 1\n}');
  asked.click(".holysheep-approve");
  assert.deepEqual(asked.decisions.length, 1);
});

test("as JSON, the whole object is edited as text", () => {
  ask();
  asked.type(asked.field("limit"), "5");
  asked.click(".holysheep-as-json");
  const text = asked.find<HTMLTextAreaElement>('textarea[aria-label="arguments as JSON"]');
  assert.equal(JSON.parse(text.value).limit, 5);
  assert.equal(asked.find(".holysheep-as-json").getAttribute("aria-pressed"), "true");
  for (const [written, problem] of [
    ['{"sql"', "This is not JSON."],
    ["[]", "This must be an object in braces."],
    ['{"sql": "s", "note": null}', '"dry" is missing.'],
    ['{"sql": 1, "dry": true, "note": null}', '"sql" must be text.'],
  ] as const) {
    asked.type(text, written);
    asked.click(".holysheep-approve");
    assert.equal(asked.problemOf(text), problem);
    assert.deepEqual(asked.decisions, []);
  }
  asked.type(text, '{"sql": "t", "dry": false, "note": null}');
  asked.click(".holysheep-as-json");
  assert.equal(asked.field("sql").value, "t");
  asked.click(".holysheep-approve");
  assert.equal(
    (asked.decisions[0] as { arguments: string }).arguments,
    '{"sql": "t", "dry": false, "note": null}',
  );
});

test("going to JSON and back changes nothing", () => {
  ask();
  asked.click(".holysheep-as-json");
  asked.click(".holysheep-as-json");
  asked.click(".holysheep-as-json");
  asked.click(".holysheep-approve");
  assert.equal((asked.decisions[0] as { arguments: null }).arguments, null);
});

test("a call without arguments has buttons only", () => {
  ask({ arguments: "", question: questionOf({ schema: { type: "object", properties: {} } }) });
  assert.equal(textOf(asked.element, ".holysheep-tool-call code"), "query()");
  asked.click(".holysheep-approve");
  assert.equal((asked.decisions[0] as { arguments: null }).arguments, null);
});

test("Deny sends the reason, Always approves for good", () => {
  ask();
  asked.type(asked.find<HTMLInputElement>(".holysheep-reason"), " too dear ");
  asked.click(".holysheep-deny");
  assert.deepEqual(asked.decisions, [{ command: "deny", call_id: "c1", reason: "too dear" }]);
  asked.lab.page.close();
  ask();
  assert.equal(textOf(asked.element, ".holysheep-always"), "Always for query");
  asked.click(".holysheep-always");
  assert.deepEqual(asked.decisions, [{ command: "approve", call_id: "c1", arguments: null, always: true }]);
});

test("a decision is sent once, and a kernel that does not answer for a second gets a hint", async () => {
  ask();
  asked.click(".holysheep-approve");
  asked.click(".holysheep-approve");
  asked.click(".holysheep-deny");
  assert.equal(asked.decisions.length, 1);
  assert.equal(textOf(asked.element, ".holysheep-approve"), "Approving…");
  assert.equal(asked.find<HTMLFieldSetElement>("fieldset").disabled, true);
  asked.lab.page.advance(900);
  await Promise.resolve();
  assert.equal(isShown(asked.element, ".holysheep-approval-hint"), false);
  asked.lab.page.advance(100);
  await Promise.resolve();
  assert.match(
    textOf(asked.element, ".holysheep-approval-hint"),
    /^Use ■ \(interrupt\) to stop on this kernel/,
  );
});

test("an answer in time ends the wait for the hint", async () => {
  ask();
  asked.click(".holysheep-approve");
  asked.lab.page.advance(900);
  asked.change({ question: questionOf({ schema: SCHEMA, problem: "No." }) });
  asked.click(".holysheep-approve");
  asked.lab.page.advance(200);
  await Promise.resolve();
  assert.equal(isShown(asked.element, ".holysheep-approval-hint"), false);
});

test("a second call that is approved while the first waits is said to run after it", () => {
  const question = questionOf({ schema: SCHEMA });
  asked = new FakeQuestion(
    { call_id: "c1", arguments: ARGUMENTS, question },
    { call_id: "c2", arguments: ARGUMENTS, question },
  );
  const [first, second] = [...asked.element.querySelectorAll<HTMLElement>(".holysheep-tool-call")];
  second!.querySelector<HTMLElement>(".holysheep-approve")!.click();
  asked.change({ state: "queued", question: null }, 1);
  assert.equal(textOf(second!, ".holysheep-tool-call-state"), "· approved, after the calls above");
  assert.equal(second!.querySelector(".holysheep-approval"), null);
  assert.equal(first!.querySelector("fieldset")!.disabled, false);
  first!.querySelector<HTMLElement>(".holysheep-deny")!.click();
  assert.deepEqual(
    asked.decisions.map((each) => (each as { call_id: string }).call_id),
    ["c2", "c1"],
  );
});

test("the kernel's objection is shown, and the person's edit is kept", () => {
  ask();
  asked.type(asked.field("sql"), "drop");
  asked.click(".holysheep-approve");
  const field = asked.field("sql");
  for (let round = 0; round < 2; round += 1) {
    asked.change({ question: questionOf({ schema: SCHEMA, problem: "sql: not allowed." }) });
    assert.equal(textOf(asked.element, ".holysheep-approval-problem"), "sql: not allowed.");
    assert.equal(asked.find<HTMLFieldSetElement>("fieldset").disabled, false);
    assert.equal(asked.field("sql"), field);
    assert.equal(field.value, "drop");
    asked.click(".holysheep-approve");
  }
  assert.equal(asked.decisions.length, 3);
  assert.deepEqual(asked.decisions[2], asked.decisions[0]);
});

test("a document in mid-wait keeps the card and what was typed", () => {
  ask();
  const card = asked.find(".holysheep-approval");
  asked.type(asked.field("sql"), "typed");
  asked.lab.model.set({ document: asked.kernel.document });
  asked.lab.page.frame();
  assert.equal(asked.find(".holysheep-approval"), card);
  assert.equal(asked.field("sql").value, "typed");
});

test("a page that opens in mid-wait has the same card, and it works", () => {
  ask();
  const before = asked.find(".holysheep-tool-call").innerHTML.replace(/holysheep-\w+-\d+/g, "id");
  asked.lab.model.set({ document: asked.kernel.document });
  asked.element = asked.lab.render().element;
  assert.equal(asked.find(".holysheep-tool-call").innerHTML.replace(/holysheep-\w+-\d+/g, "id"), before);
  asked.click(".holysheep-approve");
  assert.equal(asked.decisions.length, 1);
});

test("a view that opens after an edit was refused shows the edit", () => {
  ask();
  asked.type(asked.field("sql"), "drop");
  asked.click(".holysheep-approve");
  const { arguments: refused } = asked.decisions[0] as { arguments: string };
  asked.change({ question: questionOf({ schema: SCHEMA, problem: "No.", arguments: refused }) });
  asked.element = asked.lab.render().element;
  assert.equal(asked.field("sql").value, "drop");
  asked.click(".holysheep-approve");
  assert.match((asked.decisions[1] as { arguments: string }).arguments, /"sql": "drop"/);
});

test("a later call of the same id has its own arguments", () => {
  ask();
  asked.type(asked.field("sql"), "drop");
  asked.click(".holysheep-approve");
  asked.change({ question: questionOf({ schema: SCHEMA, problem: "No." }) });
  asked.change({ state: "done", question: null });
  const question = questionOf({ schema: SCHEMA, problem: "No." });
  asked.lab.model.set({
    patch: asked.kernel.open(callOf({ arguments: ARGUMENTS, state: "waiting", question })),
  });
  asked.lab.page.frame();
  assert.equal(asked.field("sql").value, "select 1");
});

test("Ctrl+Enter and ⌘+Enter approve, a bare Enter does not", () => {
  ask();
  asked.press(asked.field("sql"), "Enter");
  asked.press(asked.field("tags"), "Enter", { shiftKey: true });
  assert.deepEqual(asked.decisions, []);
  assert.equal(asked.press(asked.field("sql"), "Enter", { ctrlKey: true }), false);
  assert.equal(asked.decisions.length, 1);
  asked.lab.page.close();
  ask();
  asked.press(asked.field("sql"), "Enter", { metaKey: true });
  assert.equal(asked.decisions.length, 1);
});

test("Enter in the reason denies", () => {
  ask();
  const reason = asked.find<HTMLInputElement>(".holysheep-reason");
  asked.type(reason, "no");
  asked.press(reason, "Enter");
  assert.deepEqual(asked.decisions, [{ command: "deny", call_id: "c1", reason: "no" }]);
});

test("Esc in a field leaves the field, and Esc after that stops the run", () => {
  ask();
  const field = asked.field("sql");
  field.focus();
  assert.equal(asked.press(field, "Escape"), false);
  assert.deepEqual(asked.lab.model.commands("stop"), []);
  const card = asked.find(".holysheep-approval");
  assert.equal(asked.lab.page.document.activeElement, card);
  asked.press(card, "Escape");
  assert.equal(asked.lab.model.commands("stop").length, 1);
});

test("JupyterLab gets none of the keys pressed in the card", () => {
  ask();
  for (const each of asked
    .find(".holysheep-tool-call")
    .querySelectorAll("button, input, textarea, select, summary, pre")) {
    assert.equal(each.getAttribute("data-lm-suppress-shortcuts"), "true");
  }
});

test("the card takes no focus when it comes, and leaves it in the widget when it goes", () => {
  ask();
  const { document } = asked.lab.page;
  assert.equal(document.activeElement, document.body);
  const approve = asked.find(".holysheep-approve");
  approve.focus();
  asked.click(".holysheep-approve");
  assert.equal(document.activeElement, asked.find(".holysheep-approval"));
  asked.change({ state: "running", question: null });
  assert.equal(asked.element.querySelector(".holysheep-approval"), null);
  assert.equal(document.activeElement, asked.find(".holysheep-tool-call summary"));
});

test("the focus stays outside when the card goes", () => {
  ask();
  const other = asked.lab.page.document.createElement("input");
  asked.lab.page.document.body.append(other);
  other.focus();
  asked.change({ state: "running", question: null });
  assert.equal(asked.lab.page.document.activeElement, other);
});

test("the focus stays in the widget when a document takes the card away", () => {
  ask();
  asked.field("sql").focus();
  asked.lab.model.set({ document: { seq: asked.kernel.seq, parts: [{ type: "text", text: "other" }] } });
  asked.lab.page.frame();
  assert.equal(asked.lab.page.document.activeElement, asked.find(".holysheep"));
});

test("each question is announced once, and so is an objection", () => {
  ask();
  const said = () => textOf(asked.element, ".holysheep-announcer");
  assert.equal(said(), "query waits for your approval.");
  asked.find(".holysheep-announcer").textContent = "";
  asked.lab.model.set({ document: asked.kernel.document });
  asked.lab.page.frame();
  assert.equal(said(), "");
  asked.change({ question: questionOf({ schema: SCHEMA, problem: "Not that." }) });
  assert.equal(said(), "query: Not that.");
});

test("a status that comes after the question does not talk over it", () => {
  asked = new FakeQuestion();
  asked.lab.model.set({ status: statusOf("streaming") });
  asked.lab.page.frame();
  const call = callOf({ state: "waiting", question: questionOf() });
  asked.lab.model.set({ patch: asked.kernel.open(call) });
  asked.lab.page.frame();
  asked.lab.model.set({ status: statusOf("waiting") });
  asked.lab.page.frame();
  assert.equal(textOf(asked.element, ".holysheep-announcer"), "query waits for your approval.");
});

test("hostile names, arguments, schemas and descriptions are only text", () => {
  const hostile = '<img src=x onerror="alert(1)"></textarea><script>alert(1)</script>';
  const properties = {
    [hostile]: { type: "string", description: hostile, default: hostile },
    __proto__: null,
    constructor: { enum: [hostile, { toString: hostile }] },
    hasOwnProperty: { $ref: "#/$defs/__proto__" },
  };
  const schema = { properties, required: [hostile, "toString"] };
  const values = JSON.stringify({ [hostile]: hostile, constructor: hostile, hasOwnProperty: [hostile] });
  ask({
    name: hostile,
    call_id: hostile,
    arguments: values.replace(/}$/, `, "__proto__": "${"x".repeat(100)}"}`),
    question: questionOf({ schema, description: hostile, problem: hostile }),
  });
  assert.equal(asked.element.querySelectorAll("img, script, a, [onerror], [src], [href]").length, 0);
  assert.equal(asked.field(hostile).value, hostile);
  assert.equal(asked.find(".holysheep-approval-description").textContent, hostile);
  asked.click(".holysheep-as-json");
  assert.equal(asked.problemOf(asked.field("toString")), "This is required.");
  asked.type(asked.field("toString"), "1");
  asked.click(".holysheep-approve");
  const sent = asked.decisions[0] as { arguments: string };
  assert.ok(Object.hasOwn(JSON.parse(sent.arguments), "__proto__"));
});

test("forty arguments are fields, one more is text", () => {
  for (const [count, fields] of [
    [40, 40],
    [41, 0],
  ]) {
    const names = Array.from({ length: count! }, (_, index) => [`n${index}`, { type: "string" }]);
    ask({ arguments: "{}", question: questionOf({ schema: { properties: Object.fromEntries(names) } }) });
    assert.equal(asked.element.querySelectorAll(".holysheep-field").length, fields);
    asked.lab.page.close();
  }
});

test("ten thousand arguments are text to edit, not fields", () => {
  const names = Array.from({ length: 10_000 }, (_, index) => `argument_${index}`);
  const properties = Object.fromEntries(names.map((name) => [name, { type: "integer" }]));
  ask({ arguments: '{"argument_0": 1}', question: questionOf({ schema: { properties } }) });
  assert.equal(asked.element.querySelectorAll("input, textarea, select").length, 2);
  assert.equal(isShown(asked.element, ".holysheep-as-json"), false);
  const text = asked.find<HTMLTextAreaElement>('textarea[aria-label="arguments as JSON"]');
  asked.type(text, '{"argument_0": "x"}');
  asked.click(".holysheep-approve");
  assert.equal(asked.problemOf(text), '"argument_0" must be a whole number.');
  asked.type(text, '{"argument_0": 2}');
  asked.click(".holysheep-approve");
  assert.equal((asked.decisions[0] as { arguments: string }).arguments, '{"argument_0": 2}');
});

test("arguments that only Python can read are approved as they are", () => {
  ask({
    arguments: '{"x": NaN}',
    question: questionOf({ schema: { properties: { x: { type: "number" } } } }),
  });
  asked.click(".holysheep-approve");
  assert.equal((asked.decisions[0] as { arguments: null }).arguments, null);
});
