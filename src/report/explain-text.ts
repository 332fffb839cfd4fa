/** The text of an explanation: one aligned line a module, and the notes on stubs below. */

import type { Explanation, ModuleReport } from "./explain.ts";
import { alignRows, short } from "./table.ts";
import type { WatcherReport } from "./watcher.ts";

function parameters(scales: readonly number[] | null, zeroPoints: readonly number[] | null): string {
  if (!scales || scales.length === 0) return "";
  if (scales.length > 1) return `${scales.length} scales ${short(Math.min(...scales))}..${short(Math.max(...scales))}`;
  return `scale ${short(scales[0]!)} zero ${zeroPoints?.[0] ?? 0}`;
}

function watcherText(watcher: WatcherReport | null): string {
  if (!watcher) return "";
  const { quantMin, quantMax } = watcher.settings;
  const bounds = quantMin === undefined ? "" : ` ${String(quantMin)}..${String(quantMax)}`;
  return `${watcher.className} ${watcher.dtype}${bounds}${watcher.observed ? "" : ", no data yet"}`;
}

function rangeText(watcher: WatcherReport | null): string {
  return watcher?.range ? `${short(watcher.range[0])}..${short(watcher.range[1])}` : "";
}

function qconfigText({ qconfig }: ModuleReport): string {
  if (!qconfig) return "";
  return qconfig.own ? "own" : `from ${qconfig.from === "" ? "the root" : qconfig.from}`;
}

function typesText(calls: ModuleReport["inputs"]): string {
  return calls.map((types) => types.join(" ")).join(" | ");
}

function rowOf(module: ModuleReport): string[] {
  const { path, depth, className, becomes, rule, output, weight, storedWeight } = module;
  const name = "  ".repeat(depth) + (path === "" ? "(root)" : path.split(".").at(-1));
  const converted = module.scale === null ? "" : parameters([module.scale], [module.zeroPoint ?? 0]);
  const weightText =
    watcherText(weight) || (storedWeight ? `${storedWeight.dtype} ${parameters(storedWeight.scales, null)}` : "");
  return [
    name,
    className,
    becomes ?? "",
    rule,
    qconfigText(module),
    watcherText(output),
    rangeText(output),
    parameters(output?.scale ?? null, output?.zeroPoint ?? null) || converted,
    weightText,
    typesText(module.inputs),
    typesText(module.outputs),
    module.source ?? "",
  ];
}

const HEADER = [
  "module",
  "is",
  "becomes",
  "rule",
  "qconfig",
  "observer",
  "range",
  "parameters",
  "weight",
  "inputs",
  "output",
  "from",
];

/** An explanation as aligned text. */
export function explanationText({ stage, modules }: Explanation): string {
  const notes = modules.filter(({ note }) => note !== null).map(({ path, note }) => `${path}: ${note!}`);
  return [`stage: ${stage}`, alignRows(HEADER, modules.map(rowOf)), ...notes].join("\n");
}
