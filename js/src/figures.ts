/** 3.2 → "3.2 s", 72 → "1 min 12 s". */
export function formatSeconds(seconds: number, digits = 1): string {
  if (seconds < 60) return `${seconds.toFixed(digits)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

/** 12040 → "12,040". */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** Joins what there is to say by middle dots. */
export function joinFigures(figures: readonly (string | null | undefined)[]): string {
  return figures.filter(Boolean).join(" · ");
}
