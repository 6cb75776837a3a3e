import type { MarkdownHost } from "./markdown";

/** The part of JupyterLab's shared notebook model that is needed here. */
interface SharedNotebook {
  insertCell(index: number, cell: { cell_type: "code"; source: string }): unknown;
}

/** JupyterLab's widget manager knows the notebook it belongs to; other hosts have none, or none with cells. */
interface HostModel {
  widget_manager?: { context?: { model?: { sharedModel?: Partial<SharedNotebook> } } };
}

/** What this page can do for a code block under `element`. */
export function findHost(model: object, element: Element): MarkdownHost {
  const notebook = (model as HostModel).widget_manager?.context?.model?.sharedModel;
  if (typeof notebook?.insertCell !== "function") return {};
  return {
    insertBelow: (code) => {
      const index = cellIndex(element);
      if (index !== null) notebook.insertCell?.(index + 1, { cell_type: "code", source: code });
    },
  };
}

/** Which cell of the notebook holds the element; JupyterLab keeps only the cells near the reader in the page. */
function cellIndex(element: Element): number | null {
  const cell = element.closest<HTMLElement>(".jp-Cell");
  if (cell === null) return null;
  const windowed = cell.dataset.windowedListIndex;
  if (windowed !== undefined) return Number(windowed);
  return [...(cell.parentElement?.children ?? [])].filter((each) => each.matches(".jp-Cell")).indexOf(cell);
}
