/**
 * Detection: non-maximum suppression and region pooling. Their results' sizes or places depend on values, so they
 * run by these loops.
 */

import { fromArray } from "../../tensor/create.ts";
import { fromDoubles } from "../../ops/loops.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rule, valueOf, valuesOf } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";

interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** Corners in any order, or center and size. */
function boxAt(boxes: ArrayLike<number>, at: number, centered: boolean): Box {
  const [a, b, c, d] = [boxes[at]!, boxes[at + 1]!, boxes[at + 2]!, boxes[at + 3]!];
  if (centered) return { top: b - d / 2, left: a - c / 2, bottom: b + d / 2, right: a + c / 2 };
  return { top: Math.min(a, c), left: Math.min(b, d), bottom: Math.max(a, c), right: Math.max(b, d) };
}

function area({ top, left, bottom, right }: Box): number {
  return Math.max(0, bottom - top) * Math.max(0, right - left);
}

/** Intersection over union; 0 for boxes without an area. */
function overlap(a: Box, b: Box): number {
  const common = area({
    top: Math.max(a.top, b.top),
    left: Math.max(a.left, b.left),
    bottom: Math.min(a.bottom, b.bottom),
    right: Math.min(a.right, b.right),
  });
  const union = area(a) + area(b) - common;
  return union > 0 ? common / union : 0;
}

/** Best boxes first; a box goes when one that was kept covers it. Rows of [image, class, box]. */
function nonMaxSuppression(call: Call): Tensor {
  const [boxes, scores] = [call.input(0), call.input(1)];
  const scalarAt = (i: number): number | null => {
    const tensor = call.optional(i);
    return tensor ? valueOf(tensor) : null;
  };
  const [most, limit, least] = [scalarAt(2) ?? 0, scalarAt(3) ?? 0, scalarAt(4)];
  const [images, classes, count] = scores.shape as [number, number, number];
  const centered = call.int("center_point_box") === 1;
  const [corners, values] = [boxes.data, valuesOf(scores)];
  const rows: number[] = [];
  for (let n = 0; n < images; n++) {
    const all = Array.from({ length: count }, (_, i) => boxAt(corners, (n * count + i) * 4, centered));
    for (let c = 0; c < classes; c++) {
      const score = (i: number): number => values[(n * classes + c) * count + i]!;
      const order = all.map((_, i) => i).filter((i) => least === null || score(i) > least);
      order.sort((i, j) => score(j) - score(i) || i - j);
      const kept: number[] = [];
      for (const i of order) {
        if (kept.length >= most) break;
        if (kept.every((k) => overlap(all[k]!, all[i]!) <= limit)) kept.push(i);
      }
      for (const i of kept) rows.push(n, c, i);
    }
  }
  return fromArray(rows, [rows.length / 3, 3], "int64");
}

/** A plane read between its pixels; one pixel beyond the border still counts as the border. */
function bilinear(
  plane: number,
  [height, width]: readonly [number, number],
  y: number,
  xAt: number,
): { at: number; weight: number }[] {
  if (y < -1 || y > height || xAt < -1 || xAt > width) return [];
  const place = (v: number, size: number): readonly [number, number, number] => {
    const clamped = Math.max(v, 0);
    const low = Math.min(Math.floor(clamped), size - 1);
    return [low, Math.min(low + 1, size - 1), low >= size - 1 ? 0 : clamped - low];
  };
  const [y0, y1, dy] = place(y, height);
  const [x0, x1, dx] = place(xAt, width);
  const taps: readonly (readonly [number, number, number])[] = [
    [y0, x0, (1 - dy) * (1 - dx)],
    [y0, x1, (1 - dy) * dx],
    [y1, x0, dy * (1 - dx)],
    [y1, x1, dy * dx],
  ];
  return taps.map(([row, column, weight]) => ({ at: plane + row * width + column, weight }));
}

/** Averages (or largest values) of samples on a regular grid inside each region. */
function roiAlign(call: Call): Tensor {
  const [x, rois, batch] = [call.input(0), call.input(1), call.input(2)];
  const [rows, columns] = [call.int("output_height", 1), call.int("output_width", 1)];
  const [channels, height, width] = x.shape.slice(1) as [number, number, number];
  const type = { dtype: x.dtype, shape: [rois.shape[0]!, channels, rows, columns] };
  const scale = call.float("spatial_scale", 1);
  const half =
    call.string("coordinate_transformation_mode", call.opset >= 16 ? "half_pixel" : "output_half_pixel") ===
    "half_pixel";
  const largest = call.string("mode", "avg") === "max";
  const ratio = call.int("sampling_ratio");
  return call.native([type], () => {
    const out = new Float64Array(type.shape.reduce((a, b) => a * b, 1));
    const data = x.data;
    let next = 0;
    for (let r = 0; r < rois.shape[0]!; r++) {
      const [left, top, right, bottom] = [0, 1, 2, 3].map((i) => rois.data[r * 4 + i]! * scale - (half ? 0.5 : 0)) as [
        number,
        number,
        number,
        number,
      ];
      const least = half ? -Infinity : 1;
      const [stepY, stepX] = [Math.max(bottom - top, least) / rows, Math.max(right - left, least) / columns];
      const [gridY, gridX] = [ratio || Math.ceil(stepY), ratio || Math.ceil(stepX)];
      for (let c = 0; c < channels; c++) {
        const plane = (batch.data[r]! * channels + c) * height * width;
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            let [sum, best] = [0, -Infinity];
            for (let gy = 0; gy < gridY; gy++) {
              for (let gx = 0; gx < gridX; gx++) {
                const taps = bilinear(
                  plane,
                  [height, width],
                  top + stepY * (i + (gy + 0.5) / gridY),
                  left + stepX * (j + (gx + 0.5) / gridX),
                );
                for (const { at, weight } of taps) {
                  sum += weight * data[at]!;
                  best = Math.max(best, weight * data[at]!);
                }
              }
            }
            out[next++] = largest ? best : sum / Math.max(1, gridY * gridX);
          }
        }
      }
    }
    return [fromDoubles(type, out)];
  })[0]!;
}

export const detectionRules: OnnxRules = {
  NonMaxSuppression: rule(nonMaxSuppression),
  RoiAlign: rule(roiAlign),
};
