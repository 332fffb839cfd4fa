/**
 * Rates of the kernels themselves, operands in memory, one thread; the median of batches that take turns. Integer products are
 * shown in every variant, the rest in both builds.
 *
 *     node --conditions=fewbit-source bench/kernels.ts [part of a section or name]
 */

import { printTable } from "../examples/lib/table.ts";
import { Engine } from "../src/engine/engine.ts";
import { hasRelaxedSimd } from "../src/engine/probe.ts";
import type { Variant } from "../src/kernels/qgemm/list.ts";
import { floatProducts, memoryBoundKernels } from "./kernels/float.ts";
import { byteKernels, integerProducts, weightOnlyProducts } from "./kernels/int8.ts";
import { quantizeLoops } from "./kernels/quantize.ts";
import type { KernelWork } from "./kernels/work.ts";
import { QUICK_TIMING, interleaved } from "./lib/timing.ts";
import { rateOf } from "./lib/case.ts";

const ROUNDS = 15;

interface Column {
  readonly label: string;
  readonly engine: Engine;
  readonly variant?: Variant;
}

const builds = hasRelaxedSimd() ? (["relaxed", "simd"] as const) : (["simd"] as const);
const engines: readonly Column[] = builds.map((build) => ({ label: build, engine: new Engine({ build }) }));
const { engine } = engines[0]!;
const named: readonly Variant[] =
  engine.build === "relaxed" ? ["relaxed_dot", "relaxed_i16", "guarded_i16", "simd128"] : ["simd128"];
const variants: readonly Column[] = named.map((variant) => ({ label: variant, engine, variant }));

async function rates(work: KernelWork, columns: readonly Column[]): Promise<string[]> {
  const made = columns.map((column) => work.make(column.engine, column.variant));
  const times = await interleaved(
    made.map(({ call }) => call),
    ROUNDS,
    QUICK_TIMING,
  );
  for (const { free } of made) free();
  return times.map(({ median }) => rateOf(work, median).toFixed(1));
}

async function print(works: readonly KernelWork[], columns: readonly Column[]): Promise<void> {
  const part = process.argv[2] ?? "";
  const wanted = works.filter(({ section, name }) => section.includes(part) || name.includes(part));
  for (const section of new Set(wanted.map((work) => work.section))) {
    const rows: string[][] = [];
    const here = wanted.filter((work) => work.section === section);
    for (const work of here) rows.push([work.name, ...(await rates(work, columns))]);
    console.log();
    printTable([`${section}, ${here[0]!.unit}`, ...columns.map(({ label }) => label)], rows);
  }
}

console.log(`Node ${process.version}, dot product ${engine.dot}`);
await print(integerProducts, variants);
await print([...byteKernels, ...weightOnlyProducts, ...floatProducts, ...memoryBoundKernels], engines);
await print(quantizeLoops, engines.slice(0, 1));
