import assert from "node:assert/strict";
import { test } from "node:test";
import { Window } from "happy-dom";
import { findHost } from "../src/host";

function openPage(html: string): Document {
  const document = new Window().document as unknown as Document;
  document.body.innerHTML = html;
  return document;
}

function notebookModel() {
  const inserted: unknown[] = [];
  const insertCell = (index: number, cell: unknown) => inserted.push([index, cell]);
  return { inserted, model: { widget_manager: { context: { model: { sharedModel: { insertCell } } } } } };
}

test("code goes into a new cell right below the one that holds the answer", () => {
  const { inserted, model } = notebookModel();
  const document = openPage(
    '<div><p></p><div class="jp-Cell"></div><div class="jp-Cell"><b></b></div></div>',
  );
  findHost(model, document.querySelector("b")!).insertBelow?.("x = 1", "python");
  assert.deepEqual(inserted, [[2, { cell_type: "code", source: "x = 1" }]]);
});

test("a windowed notebook says which cell it is, whatever else is in the page", () => {
  const { inserted, model } = notebookModel();
  const document = openPage('<div><div class="jp-Cell" data-windowed-list-index="41"><b></b></div></div>');
  findHost(model, document.querySelector("b")!).insertBelow?.("y", "");
  assert.deepEqual(inserted, [[42, { cell_type: "code", source: "y" }]]);
});

test("a host without a notebook offers nothing", () => {
  const document = openPage("<b></b>");
  assert.deepEqual(findHost({ widget_manager: {} }, document.querySelector("b")!), {});
});

test("the static output takes the widget's place in the notebook, and nothing else changes", () => {
  const widget = {
    output_type: "display_data",
    data: { "application/vnd.jupyter.widget-view+json": { model_id: "m" } },
  };
  const other = { output_type: "stream", text: "x" };
  let outputs: object[] = [other, widget];
  const untouched = { getOutputs: () => [other], setOutputs: () => assert.fail() };
  const cell = {
    getOutputs: () => outputs,
    setOutputs: (next: object[]) => {
      outputs = next;
    },
  };
  const sharedModel = { insertCell() {}, cells: [{}, untouched, cell] };
  const host = findHost(
    { widget_manager: { context: { model: { sharedModel } } } },
    openPage("<b></b>").body,
  );
  const data = { "text/markdown": "answer" };
  assert.equal(host.freeze?.({ model_id: "m", data, metadata: {} }), true);
  assert.deepEqual(outputs, [other, { output_type: "display_data", data, metadata: {} }]);
  assert.equal(host.freeze?.({ model_id: "m", data, metadata: {} }), false);
});
