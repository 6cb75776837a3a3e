import type { MarkdownHost } from "./markdown";
import type { Frozen } from "./protocol";

const WIDGET_VIEW = "application/vnd.jupyter.widget-view+json";

/** What the page can do beyond showing: everything is optional. */
export interface Host extends MarkdownHost {
  /** Puts the static output in the widget's place, in the notebook itself; false if it is not there. */
  freeze?: (frozen: Frozen) => boolean;
}

interface Output {
  data?: { [WIDGET_VIEW]?: { model_id?: string } };
}

/** The part of JupyterLab's shared notebook model that is needed here. */
interface SharedNotebook {
  cells: Partial<{ getOutputs(): Output[]; setOutputs(outputs: object[]): void }>[];
  insertCell(index: number, cell: { cell_type: "code"; source: string }): unknown;
}

/** JupyterLab's widget manager knows the notebook it belongs to; other hosts have none, or none with cells. */
interface HostModel {
  widget_manager?: { context?: { model?: { sharedModel?: Partial<SharedNotebook> } } };
}

/** What this page can do for an answer under `element`. */
export function findHost(model: object, element: Element): Host {
  const notebook = (model as HostModel).widget_manager?.context?.model?.sharedModel;
  if (typeof notebook?.insertCell !== "function") return {};
  return {
    insertBelow: (code) => {
      const index = cellIndex(element);
      if (index !== null) notebook.insertCell?.(index + 1, { cell_type: "code", source: code });
    },
    freeze: (frozen) => freeze(notebook.cells ?? [], frozen),
  };
}

function freeze(cells: SharedNotebook["cells"], { model_id, data, metadata }: Frozen): boolean {
  const isWidget = (output: Output) => output.data?.[WIDGET_VIEW]?.model_id === model_id;
  const frozen = { output_type: "display_data", data, metadata };
  const holders = cells.filter((cell) => cell.setOutputs && cell.getOutputs?.().some(isWidget));
  for (const cell of holders) {
    cell.setOutputs?.(cell.getOutputs!().map((output) => (isWidget(output) ? frozen : output)));
  }
  return holders.length > 0;
}

/** Which cell of the notebook holds the element; JupyterLab keeps only the cells near the reader in the page. */
function cellIndex(element: Element): number | null {
  const cell = element.closest<HTMLElement>(".jp-Cell");
  if (cell === null) return null;
  const windowed = cell.dataset.windowedListIndex;
  if (windowed !== undefined) return Number(windowed);
  return [...(cell.parentElement?.children ?? [])].filter((each) => each.matches(".jp-Cell")).indexOf(cell);
}
