import type { Stats } from "./protocol";

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

export function describeFirst(stats: Stats | null): string | null {
  const first_delta_s = stats?.first_delta_s ?? null;
  return first_delta_s === null ? null : `first after ${formatSeconds(first_delta_s, 2)}`;
}

export function describeRate(stats: Stats | null): string | null {
  return stats?.deltas_per_s ? `${formatCount(stats.deltas_per_s)} tokens/s` : null;
}
