/**
 * Writes docs/api-coverage.md: every public name of PyTorch's quantization modules, and what it is called here or why
 * it does not exist. Names come from PyTorch (golden/api-names.json), ours from the published subpaths, so a row is
 * "done" only when the name can be imported.
 *
 *   node --conditions=fewbit-source tools/api-coverage.ts
 */

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import * as core from "../src/index.ts";
import * as pt2e from "../src/quantization/pt2e/index.ts";
import * as quantization from "../src/quantization/entry.ts";
import * as fx from "../src/quantization/fx/index.ts";
import * as suite from "../src/quantization/suite/index.ts";
import * as weights from "../src/quantization/weights/index.ts";
import { never, renamed } from "./api-coverage-reasons.ts";

const root = path.join(import.meta.dirname, "..");
export const PAGE = path.join(root, "docs/api-coverage.md");

/** A place names may be imported from: how it is written, and what is there. */
type Place = readonly [label: string, names: object];

const whole: readonly Place[] = [
  ["fewbit/quantization", quantization],
  ["fewbit/quantization/fx", fx],
  ["fewbit/quantization/pt2e", pt2e],
  ["fewbit/quantization/suite", suite],
  ["fewbit/quantization/weights", weights],
  ["fewbit", core],
];

/** Families of layers have the names of float layers, so each is looked for in its own place. */
const families: Readonly<Record<string, Place>> = {
  "torch.ao.nn.intrinsic": ["fewbit/quantization: nni", quantization.nni],
  "torch.ao.nn.intrinsic.qat": ["fewbit/quantization: nniqat", quantization.nniqat],
  "torch.ao.nn.intrinsic.quantized": ["fewbit/quantization: nniq", quantization.nniq],
  "torch.ao.nn.intrinsic.quantized.dynamic": ["fewbit/quantization: nniqd", quantization.nniqd],
  "torch.ao.nn.qat": ["fewbit/quantization: nnqat", quantization.nnqat],
  "torch.ao.nn.qat.dynamic": ["fewbit/quantization: nnqatd", quantization.nnqatd],
  "torch.ao.nn.quantizable": ["fewbit/quantization: nnqa", quantization.nnqa],
  "torch.ao.nn.quantized": ["fewbit/quantization: nnq", quantization.nnq],
  "torch.ao.nn.quantized.dynamic": ["fewbit/quantization: nnqd", quantization.nnqd],
  "torch.ao.nn.quantized.functional": ["fewbit/quantization: nnq.functional", quantization.nnq.functional],
  "torch.ao.nn.quantized.reference": ["fewbit/quantization: nnqr", quantization.nnqr],
};

/** quantize_per_tensor → quantizePerTensor; classes keep their names; QConfig and QParams keep their capitals. */
function ownName(name: string): string {
  if (name in renamed) return renamed[name]!;
  if (/^[A-Z]/.test(name)) return name;
  return name
    .replace(/_+$/, "")
    .replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
    .replace(/Qconfig/g, "QConfig")
    .replace(/Qparams/g, "QParams");
}

/** Names of exported interfaces and types: they leave no trace when the program runs. */
function typeNames(): Set<string> {
  const files = readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" }).filter((file) =>
    /^(quantization|ops)\/.*\.ts$/.test(file.replaceAll("\\", "/")),
  );
  const text = files.map((file) => readFileSync(path.join(root, "src", file), "utf8")).join("\n");
  return new Set([...text.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name]) => name!));
}

export interface CoverageRow {
  readonly name: string;
  readonly status: "done" | "never" | "missing";
  /** The name here and where it is imported from, or why there is none. */
  readonly note: string;
}

function rowOf(module: string, name: string, types: ReadonlySet<string>): CoverageRow {
  const reason = never[`${module}.${name}`] ?? never[name];
  const own = ownName(name);
  const places = module in families ? [families[module]!, ...whole] : whole;
  const found = places.find(([, names]) => own in names);
  if (found) return { name, status: "done", note: `\`${own}\` of ${found[0]}` };
  if (types.has(own)) return { name, status: "done", note: `\`${own}\`, a type` };
  return reason === undefined ? { name, status: "missing", note: "" } : { name, status: "never", note: reason };
}

/** All rows by PyTorch module. */
export function coverage(): Map<string, CoverageRow[]> {
  const { modules } = JSON.parse(readFileSync(path.join(root, "golden/api-names.json"), "utf8")) as {
    readonly modules: Readonly<Record<string, readonly string[]>>;
  };
  const types = typeNames();
  return new Map(
    Object.entries(modules).map(([module, names]) => [module, names.map((name) => rowOf(module, name, types))]),
  );
}

/** The page as text. */
export function coveragePage(): string {
  const modules = coverage();
  const all = [...modules.values()].flat();
  const count = (status: CoverageRow["status"]): number => all.filter((row) => row.status === status).length;
  const head = `# PyTorch's names, here

Made by \`tools/api-coverage.ts\` from the names of PyTorch 2.13 and torchao 0.19. Classes keep their names, functions
and constants are in camelCase, a trailing underscore is dropped.

${all.length} names: ${count("done")} done, ${count("never")} that will not exist (with the reason), ${count("missing")} missing.
`;
  const sections = [...modules].map(([module, rows]) => {
    const lines = rows.map(
      ({ name, status, note }) => `| \`${name}\` | ${status === "done" ? note : `${status}: ${note}`} |`,
    );
    return `## ${module}\n\n| PyTorch | fewbit |\n| --- | --- |\n${lines.join("\n")}\n`;
  });
  return [head, ...sections].join("\n");
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(PAGE, coveragePage());
  const missing = [...coverage()].flatMap(([module, rows]) =>
    rows.filter(({ status }) => status === "missing").map(({ name }) => `${module}.${name}`),
  );
  console.log(missing.length === 0 ? "nothing missing" : missing.join("\n"));
}
