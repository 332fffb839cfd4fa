/** The rows of a comparison while it goes on, in the order in which the float model reaches them. */

import type { Tensor } from "../../tensor/tensor.ts";
import type { Grid } from "./grid.ts";
import { Tally } from "./tally.ts";
import type { LayerMeasures } from "./tally.ts";

export interface LayerComparison extends LayerMeasures {
  /**
   * What the row is called: the module's path, with the operation behind a colon where a functional has several; of
   * graphs the value's name.
   */
  readonly name: string;
  /** Path of the module; of graphs that of the module whose forward made the call. */
  readonly path: string;
  /** Class of the float layer, `FloatFunctional.add` for functionals; of graphs the operators. */
  readonly className: string;
  /** What it is in the quantized model. */
  readonly quantizedClassName: string;
}

/** A layer of the float model that was not compared, and why. */
export interface UnmatchedLayer {
  readonly name: string;
  readonly path: string;
  readonly className: string;
  readonly reason: string;
}

export interface RowStart {
  readonly key: string;
  readonly path: string;
  readonly className: string;
}

/** What comparators tell. */
export interface Progress {
  /** A layer of the float model ran. */
  expect(row: RowStart): void;
  /** A layer of the float model ran that must not be compared. */
  skip(row: RowStart, reason: string): void;
  /** Outputs of one call, as real numbers. */
  add(
    key: string,
    quantizedClassName: string,
    float: Tensor,
    given: Tensor,
    alone: Tensor | null,
    grid: Grid | null,
  ): void;
}

/** Runs two models on a batch and tells what came out. */
export interface Comparator {
  addBatch(inputs: readonly unknown[], progress: Progress): void;
}

interface Row extends RowStart {
  readonly tally: Tally;
  quantizedClassName: string;
  reason: string | null;
}

export class Rows implements Progress {
  private readonly rows = new Map<string, Row>();

  expect(row: RowStart): void {
    if (!this.rows.has(row.key)) {
      this.rows.set(row.key, { ...row, tally: new Tally(), quantizedClassName: "", reason: null });
    }
  }

  skip(row: RowStart, reason: string): void {
    this.expect(row);
    this.rows.get(row.key)!.reason = reason;
  }

  add(
    key: string,
    quantizedClassName: string,
    float: Tensor,
    given: Tensor,
    alone: Tensor | null,
    grid: Grid | null,
  ): void {
    const row = this.rows.get(key);
    if (!row) return;
    if (float.numel !== given.numel) {
      row.reason = `gives [${float.shape.join(",")}] in the float model and [${given.shape.join(",")}] in the quantized one`;
      return;
    }
    row.quantizedClassName = quantizedClassName;
    row.tally.add(float, given, alone, grid);
  }

  /** A row is called by its path when no other has it. */
  private nameOf({ key, path }: Row): string {
    const sharers = [...this.rows.values()].filter((row) => row.path === path).length;
    return path !== "" && sharers === 1 && key.startsWith(`${path}:`) ? path : key;
  }

  private isCompared({ reason, tally }: Row): boolean {
    return reason === null && !tally.isEmpty;
  }

  get layers(): LayerComparison[] {
    return [...this.rows.values()]
      .filter((row) => this.isCompared(row))
      .map((row) => {
        const { path, className, quantizedClassName, tally } = row;
        return { name: this.nameOf(row), path, className, quantizedClassName, ...tally.result() };
      });
  }

  get unmatched(): UnmatchedLayer[] {
    return [...this.rows.values()]
      .filter((row) => !this.isCompared(row))
      .map((row) => {
        const reason = row.reason ?? "nothing in the quantized model is its counterpart";
        return { name: this.nameOf(row), path: row.path, className: row.className, reason };
      });
  }
}
