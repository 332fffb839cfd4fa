/** docs/performance.md, from a results file: the bars, every table, and how to repeat it. */

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { judge } from "./bars.ts";
import type { JudgedBar } from "./bars.ts";
import { cases } from "./cases.ts";
import { candidateTitles } from "./candidates/list.ts";
import { peaks } from "./kernels/peak.ts";
import { rate, ratio } from "./lib/results.ts";
import type { CaseResult, Results } from "./lib/results.ts";

export const RESULTS_FILE = fileURLToPath(new URL("results/latest.json", import.meta.url));
export const DOC_FILE = fileURLToPath(new URL("../docs/performance.md", import.meta.url));

/** Groups in the order they are shown. */
const GROUPS: readonly (readonly [group: string, title: string])[] = [
  ["network", "A whole network"],
  ["products", "Products"],
  ["training", "Training and calibration"],
  ["kernels", "Kernels on their own"],
  ["ResNet-50", "Layers of ResNet-50"],
  ["MobileNetV2", "Layers of MobileNetV2"],
  ["cold start", "Cold start"],
  ["bytes", "Bytes"],
];

/** Names in the order of the columns. */
const ORDER = Object.keys(candidateTitles);

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, i) => (i === 0 ? "---" : "---:"));
  return [line(header), line(rule), ...rows.map(line)].join("\n");
}

function figure(value: number | null): string {
  if (value === null) return "-";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function times(value: number | null): string {
  return value === null ? "-" : `${value.toFixed(2)}x`;
}

function judged({ work, than, bound, unit, isMost, value, plain, isMet }: JudgedBar): string[] {
  const quantity = (number: number): string => (unit === "x" ? times(number) : `${figure(number)} ${unit}`);
  const measured = value === null ? "not measured" : quantity(plain ?? value);
  const scaled = plain === null || value === null ? "" : quantity(value);
  const verdict = isMet === null ? "" : isMet ? "met" : "**missed**";
  const limit = unit === "x" ? `${bound}x` : `${bound} ${unit}`;
  return [than ? `${work}, against ${than}` : work, isMost ? `at most ${limit}` : limit, measured, scaled, verdict];
}

function section(title: string, cases: readonly CaseResult[]): string {
  const names = ORDER.filter((name) => cases.some(({ candidates }) => (candidates[name]?.ms.length ?? 0) > 0));
  const peers = names.filter((name) => !/^(fewbit(?!-plain)|peak)/.test(name));
  const single = new Set(cases.map(({ unit }) => unit)).size === 1;
  const header = [single ? `${cases[0]!.unit}` : "", ...names, ...peers.map((name) => `fewbit / ${name}`)];
  const rows = cases.map((result) => [
    single ? result.name : `${result.name}, ${result.unit}`,
    ...names.map((name) => figure(rate(result, name))),
    ...peers.map((name) => times(ratio(result, "fewbit", name))),
  ]);
  return `## ${title}\n\n${table(header, rows)}\n`;
}

function differences(cases: readonly CaseResult[]): string {
  const rows = cases.flatMap(({ name, largest, candidates }) => {
    const compared = Object.entries(candidates).filter(([, { error }]) => error !== null && error > 0);
    if (compared.length === 0 || largest === null) return [];
    const [worst, { error }] = compared.reduce((a, b) => (b[1].error! > a[1].error! ? b : a));
    return [[name, worst, error!.toPrecision(2), largest.toPrecision(3)]];
  });
  return table(["case", "furthest candidate", "largest difference", "largest value"], rows);
}

function notTaken(cases: readonly CaseResult[]): string[] {
  const reasons = new Map<string, string[]>();
  for (const { name, candidates } of cases)
    for (const [candidate, { skipped }] of Object.entries(candidates))
      if (skipped !== undefined) {
        const key = `${candidate}: ${skipped}`;
        reasons.set(key, [...(reasons.get(key) ?? []), name]);
      }
  return [...reasons].map(
    ([reason, names]) => `- ${reason} (${names.length === 1 ? names[0] : `${names.length} cases`})`,
  );
}

/** In the order of bench/cases.ts, whatever order they were measured in; others behind. */
function inOrder(results: readonly CaseResult[]): CaseResult[] {
  const place = new Map(cases.map(({ name }, i) => [name, i]));
  return [...results].sort((a, b) => (place.get(a.name) ?? Infinity) - (place.get(b.name) ?? Infinity) || 0);
}

/** The page, as Markdown. */
export function performancePage(results: Results): string {
  const { machine, network, candidates } = results;
  const measured = inOrder(results.cases);
  const verdicts = judge(results);
  const count = (isMet: boolean | null): number => verdicts.filter((bar) => bar.isMet === isMet).length;
  const dates = [...new Set(measured.map(({ date }) => date))].sort();
  const used = ORDER.filter((name) => measured.some((result) => name in result.candidates));
  const skipped = notTaken(measured);
  return `# Performance

Generated by \`npm run bench -- --doc\` from \`bench/results/latest.json\`; do not edit.

Measured ${dates.join(" to ")} on ${machine.processor}, ${machine.cores} cores (${machine.flags.join(", ")}), Node ${machine.node} (V8 ${machine.v8}). The network is ${network}${network === "ResNet-20" ? " for CIFAR-10, pretrained; the integer one is fewbit's own quantization of it, exported to ONNX" : " with random weights"}.

**How to read it.** Compare columns, not machines: every candidate runs in a process of its own, all take turns batch by
batch, and a ratio is the median over rounds of two batches measured one after the other. "2.00x" means twice as fast as (or half the
size of) the other.

Rates depend on the clock and on who shares the core at that moment. So a bar that names a rate is judged by the share of
the processor's peak: instructions with operands in registers, timed in turns with the work (columns \`peak-int8\` and
\`peak-f32\`, always in GOP/s). Where the bars were set, the peaks were ${peaks["int8 dot product"].ofBars} GOP/s of the int8 dot product and ${peaks["f32 multiply-add"].ofBars} of the f32
multiply-add; "at that peak" is what the measured rate would be there.

## The bars

${count(true)} met, ${count(false)} missed, ${count(null)} not measured.

${table(["work", "bar", "measured", "at that peak", ""], verdicts.map(judged))}

${GROUPS.map(([group, title]) => [title, measured.filter((result) => result.group === group)] as const)
  .filter(([, found]) => found.length > 0)
  .map(([title, found]) => section(title, found))
  .join("\n")}
## The candidates

${table(
  ["name", "what it is", "as it says itself"],
  used.map((name) => [name, candidateTitles[name]!, candidates[name] ?? ""]),
)}

All read the same ONNX files (TensorFlow.js the same weights, NHWC). onnxruntime runs with all graph optimizations; integer
operators exist as QDQ and as QLinear operators, and it is timed with the form it runs faster. Inputs go in and results come out
as typed arrays in every call. Native code may use instructions that WebAssembly has not, AVX-512 and AMX where the processor
has them; the bars were set on a processor with AVX2 and AVX-VNNI, so native code is also timed with the wider ones hidden
from it (\`bench/lib/hide-avx512.ts\`). For cold starts fewbit reads the model as a page is given it, imported, lowered to integer
operators and saved once; the others optimize the ONNX file as they load it. Single kernels are timed with operands in memory.

Where a candidate takes no part:

${skipped.length > 0 ? skipped.join("\n") : "- nowhere"}

## Do they compute the same?

Outputs are compared with the first candidate's before anything is timed. Cases in which all agree exactly are left out.

${differences(measured)}

## Repeat it

\`\`\`sh
npm run bench                                   # everything, ten minutes or so on an idle machine
npm run bench -- --quick --only network         # some cases, by parts of their names or by group
npm run bench -- --rounds 31 --candidates fewbit,ort-web --only "C64 56²"
npm run bench -- --json bench/results/latest.json   # cases that were run replace those in the file
npm run bench -- --doc                          # writes this page
node --conditions=fewbit-source bench/kernels.ts    # every kernel, variant and build on its own
\`\`\`
`;
}

/** The page as it is stored. */
export async function formattedPage(results: Results): Promise<string> {
  const { format, resolveConfig } = await import("prettier");
  return format(performancePage(results), { ...(await resolveConfig(DOC_FILE)), parser: "markdown" });
}

export async function writePage(results: Results): Promise<void> {
  writeFileSync(DOC_FILE, await formattedPage(results));
}
