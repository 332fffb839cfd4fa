/**
 * Packing of integer weights by the engine's kernels: bit for bit what kernels/qgemm/pack.ts does, in a fraction of the
 * time. Everything is in scratch memory for as long as one layer takes.
 */

import { NR } from "../kernels/qgemm/layout.ts";
import { checkSource, paddedRun, zeroPointOf } from "../kernels/qgemm/pack.ts";
import type { Panels } from "../kernels/qgemm/pack.ts";
import type { Packer } from "../kernels/qgemm/weights.ts";
import type { Engine } from "./engine.ts";

/** By how much the unsigned form of a signed byte is more. */
const SIGN = 128;

export function packerOf({ memory, kernels }: Pick<Engine, "memory" | "kernels">): Packer {
  return (source, choose) => {
    checkSource(source);
    const { data, channels, base, channelStride, runs, runLength, taps } = source;
    const depth = runs * paddedRun(runLength);
    return memory.scope((alloc) => {
      const rows = alloc(channels * depth * 2);
      const panels = alloc(Math.ceil(channels / NR) * NR * depth * 2);
      const [weights, tapTable, numbers] = [alloc(data.length), alloc(taps.byteLength), alloc(channels * 12 + 16)];
      const [sums, magnitudes, facts] = [numbers, numbers + channels * 4, numbers + channels * 8];
      const zeros = facts + 16;
      memory.u8(weights, data.length).set(data);
      memory.i32(tapTable, taps.length).set(taps);
      const zeroPoints = memory.i32(zeros, channels);
      for (let o = 0; o < channels; o++) zeroPoints[o] = zeroPointOf(source, o);
      const flip = data instanceof Int8Array ? SIGN : 0;
      kernels.qpack_rows(weights + base, flip, channels, channelStride, zeros, runs, runLength, tapTable, rows);
      kernels.qpack_facts(rows, channels, depth, sums, magnitudes, facts);
      const [low, high, positivePair, negativePair] = memory.i32(facts, 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      const variant = choose({ fitsS8: low >= -SIGN && high < SIGN, positivePair, negativePair });
      const panelsOf = (isNarrow: boolean): Panels => {
        kernels.qpack_panels(rows, channels, depth, isNarrow ? 1 : 0, panels);
        const panelBytes = NR * depth * (isNarrow ? 1 : 2);
        return { bytes: memory.u8(panels, Math.ceil(channels / NR) * panelBytes).slice(), panelBytes };
      };
      return {
        variant,
        narrow: variant === "simd128" ? null : panelsOf(true),
        wide: variant === "simd128" || variant === "guarded_i16" ? panelsOf(false) : null,
        sums: memory.i32(sums, channels).slice(),
        magnitudes: memory.i32(magnitudes, channels).slice(),
      };
    });
  };
}
