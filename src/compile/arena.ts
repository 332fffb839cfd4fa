/**
 * The memory plan: buffers whose lives do not overlap share bytes.
 *
 * Buffers with a border are grouped by form and border value, because within such a group the border never
 * changes and is filled once, when the plan is made. All others share one region. Within a region the largest
 * buffers are placed first, each at the lowest offset that is free during its life (Pisarchyk and Lee, 2020,
 * "greedy by size").
 */

/** A block of memory needed from step `first` to step `last`, both included. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
  /** Buffers share bytes only with those of the same group. */
  readonly group: string;
}

export interface ArenaPlan<T> {
  readonly offsets: ReadonlyMap<T, number>;
  readonly bytes: number;
}

const ALIGNMENT = 64;
/** Kernels may read one vector past the end of a buffer. */
const TAIL = 64;

function aligned(bytes: number): number {
  return Math.ceil((bytes + TAIL) / ALIGNMENT) * ALIGNMENT;
}

interface Placed {
  readonly start: number;
  readonly end: number;
  readonly first: number;
  readonly last: number;
}

function lowestFree(placed: readonly Placed[], { bytes, first, last }: Lifetime): number {
  const conflicts = placed
    .filter((other) => other.first <= last && first <= other.last)
    .sort((a, b) => a.start - b.start);
  let start = 0;
  for (const other of conflicts) {
    if (start + aligned(bytes) <= other.start) break;
    start = Math.max(start, other.end);
  }
  return start;
}

/** Offsets for all buffers; `bytes` is the size of the arena. */
export function planArena<T extends Lifetime>(buffers: Iterable<T>): ArenaPlan<T> {
  const groups = new Map<string, T[]>();
  for (const buffer of buffers) groups.set(buffer.group, [...(groups.get(buffer.group) ?? []), buffer]);
  const offsets = new Map<T, number>();
  let base = 0;
  for (const members of groups.values()) {
    const placed: Placed[] = [];
    let end = 0;
    for (const buffer of [...members].sort((a, b) => b.bytes - a.bytes)) {
      const start = lowestFree(placed, buffer);
      placed.push({ start, end: start + aligned(buffer.bytes), first: buffer.first, last: buffer.last });
      offsets.set(buffer, base + start);
      end = Math.max(end, start + aligned(buffer.bytes));
    }
    base += end;
  }
  return { offsets, bytes: base };
}
