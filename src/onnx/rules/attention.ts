/**
 * Attention and rotary embeddings of the standard domain (opset 23 and newer).
 */

import { softmax } from "../../ops/activation-softmax.ts";
import { add, div, mul, sub } from "../../ops/arithmetic.ts";
import { cat } from "../../ops/cat.ts";
import { equal } from "../../ops/compare.ts";
import { embedding } from "../../ops/embedding.ts";
import { matmul } from "../../ops/matmul.ts";
import { pad } from "../../ops/pad.ts";
import { repeatInterleave } from "../../ops/repeat.ts";
import { permute, reshape, transpose } from "../../ops/shape.ts";
import { slice } from "../../ops/slicing.ts";
import { cast, tanh } from "../../ops/unary.ts";
import { where } from "../../ops/where.ts";
import { fromArray, scalar } from "../../tensor/create.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rule, valuesOf } from "../call.ts";
import type { Call, OnnxRules } from "../call.ts";
import { requireDType } from "../dtypes.ts";

/** [N, L, heads * E] as [N, heads, L, E]; four axes are that already. */
function heads(x: Tensor, count: number): Tensor {
  if (x.rank === 4) return x;
  const [n, length, width] = x.shape as [number, number, number];
  return permute(reshape(x, [n, length, count, width / count]), [0, 2, 1, 3]);
}

/**
 * Which keys a query may look at by position: none behind it when causal, and none further off than a window reaches.
 * Query i stands at i + offset among the keys: behind what is cached, or at the end of its sequence's valid keys.
 */
function positions(call: Call, length: number, total: number, offsets: readonly number[]): number[] | null {
  const causal = call.int("is_causal") === 1;
  const [left, right] = [call.int("left_window_size", -1), call.int("right_window_size", -1)];
  if (!causal && left < 0 && right < 0) return null;
  call.checkSize([offsets.length, length, total]);
  const ahead = Math.min(causal ? 0 : Infinity, right < 0 ? Infinity : right);
  const back = left < 0 ? Infinity : left;
  return offsets.flatMap((offset) =>
    Array.from({ length: length * total }, (_, i) => {
      const away = (i % total) - Math.floor(i / total) - offset;
      return away <= ahead && -away <= back ? 0 : -Infinity;
    }),
  );
}

/** What is added to the scores: a mask, minus infinity where a query may not look, and beyond each sequence's end. */
function bias(call: Call, scores: Tensor, past: number): Tensor | null {
  const [length, total] = scores.shape.slice(-2) as [number, number];
  const mask = call.optional(3);
  const parts: Tensor[] = [];
  if (mask) {
    const real = mask.dtype === "bool" ? where(mask, scalar(0), scalar(-Infinity)) : mask;
    const missing = total - real.shape.at(-1)!;
    parts.push(cast(missing > 0 ? pad(real, [0, missing], { value: -Infinity }) : real, scores.dtype));
  }
  const given = call.optional(6);
  const ends = given && valuesOf(given);
  const allowed = positions(call, length, total, ends ? ends.map((end) => end - length) : [past]);
  if (allowed) parts.push(fromArray(allowed, ends ? [ends.length, 1, length, total] : [length, total], scores.dtype));
  if (ends) {
    call.checkSize([ends.length, total]);
    const values = ends.flatMap((end) => Array.from({ length: total }, (_, i) => (i < end ? 0 : -Infinity)));
    parts.push(fromArray(values, [ends.length, 1, 1, total], scores.dtype));
  }
  return parts.length === 0 ? null : parts.reduce((a, b) => add(a, b));
}

/** Rows that may look at nothing give zeros. */
function softmaxRows(scores: Tensor): Tensor {
  const weights = softmax(scores, -1);
  return where(equal(weights, weights), weights, scalar(0, weights.dtype));
}

function attention(call: Call): readonly (Tensor | null)[] {
  const q = heads(call.input(0), call.int("q_num_heads", 1));
  const flat = call.input(0).rank === 3;
  const kvHeads = call.int("kv_num_heads", 1);
  let [k, v] = [heads(call.input(1), kvHeads), heads(call.input(2), kvHeads)];
  const [pastKey, pastValue] = [call.optional(4), call.optional(5)];
  const past = pastKey ? pastKey.shape[2]! : 0;
  if (pastKey) k = cat([pastKey, k], 2);
  if (pastValue) v = cat([pastValue, v], 2);
  const present = [k, v] as const;
  const groups = q.shape[1]! / k.shape[1]!;
  if (groups > 1) [k, v] = [repeatInterleave(k, groups, 1), repeatInterleave(v, groups, 1)];
  const root = Math.sqrt(call.has("scale") ? call.float("scale") : 1 / Math.sqrt(q.shape[3]!));
  const raw = matmul(mul(q, root), transpose(mul(k, root), -1, -2));
  const softcap = call.float("softcap");
  const mode = call.int("qk_matmul_output_mode");
  const capped = (x: Tensor): Tensor => (softcap > 0 ? mul(tanh(div(x, softcap)), softcap) : x);
  const offset = bias(call, raw, past);
  const masked = (x: Tensor): Tensor => (offset ? add(x, offset) : x);
  const soft = capped(raw);
  const scores = masked(soft);
  const precision = call.int("softmax_precision");
  const weights = cast(softmaxRows(precision ? cast(scores, requireDType("Attention", precision)) : scores), q.dtype);
  const y = matmul(weights, v);
  const shaped = flat ? reshape(permute(y, [0, 2, 1, 3]), [q.shape[0]!, q.shape[2]!, q.shape[1]! * v.shape[3]!]) : y;
  const shown = mode === 0 ? raw : mode === 1 ? masked(raw) : mode === 2 ? scores : weights;
  return [shaped, present[0], present[1], mode === 1 && softcap > 0 ? soft : shown];
}

/** Pairs of features, halves or neighbours, turned by an angle for each position. */
function rotary(call: Call): Tensor {
  const given = call.input(0);
  const count = call.int("num_heads");
  const x = given.rank === 3 ? permute(heads(given, count), [0, 2, 1, 3]) : permute(given, [0, 2, 1, 3]);
  const size = call.int("rotary_embedding_dim") || x.shape[3]!;
  const positions = call.optional(3);
  const angles = (i: number): Tensor => {
    const table = call.input(i);
    const rows = positions
      ? reshape(embedding(reshape(positions, [positions.numel]), table), [...positions.shape, table.shape[1]!])
      : table;
    return reshape(rows, [rows.shape[0]!, rows.shape[1]!, 1, size / 2]);
  };
  const [cosine, sine] = [angles(1), angles(2)];
  const turned = slice(x, 3, 0, size);
  const interleaved = call.int("interleaved") === 1;
  const [a, b] = interleaved
    ? [slice(turned, 3, 0, Infinity, 2), slice(turned, 3, 1, Infinity, 2)]
    : [slice(turned, 3, 0, size / 2), slice(turned, 3, size / 2)];
  const real = sub(mul(cosine, a), mul(sine, b));
  const imaginary = add(mul(sine, a), mul(cosine, b));
  const apart = [...real.shape, 1];
  const joined = interleaved
    ? reshape(cat([reshape(real, apart), reshape(imaginary, apart)], 4), turned.shape)
    : cat([real, imaginary], 3);
  const whole = size === x.shape[3] ? joined : cat([joined, slice(x, 3, size)], 3);
  return given.rank === 3 ? reshape(whole, given.shape) : permute(whole, [0, 2, 1, 3]);
}

export const attentionRules: OnnxRules = {
  Attention: rule(attention),
  RotaryEmbedding: rule(rotary),
};
