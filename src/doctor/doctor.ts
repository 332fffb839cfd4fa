/**
 * `doctor`: looks for the usual mistakes before a model is calibrated.
 *
 * A copy of the model is captured, prepared and converted on made-up data, and the captured calls are replayed with the
 * types of the converted model; rules read the results. Nothing is computed and the model is not changed.
 */

import { FewbitError, GraphError } from "../errors.ts";
import { GraphModule } from "../graph/graph-module.ts";
import { callerLocation, locationInStack } from "../graph/location.ts";
import type { AnyModule } from "../nn/module.ts";
import { propagateQConfig } from "../quantization/eager/propagate.ts";
import { FakeQuantizeBase } from "../quantization/fake-quantize/base.ts";
import type { BackendConfig } from "../quantization/fx/backend-config.ts";
import type { PrepareCustomConfig } from "../quantization/fx/custom-config.ts";
import { prepareFx, prepareQatFx } from "../quantization/fx/prepare.ts";
import type { QConfigMapping } from "../quantization/fx/qconfig-mapping.ts";
import { QConfig } from "../quantization/qconfig.ts";
import { dryRun } from "./analysis/dry.ts";
import type { Flow } from "./analysis/dry.ts";
import { replay } from "./analysis/replay.ts";
import { callsByPath, locationOf, traceUnits } from "./analysis/trace.ts";
import { isWatcher, outermostUnits } from "./analysis/units.ts";
import type { Finding, Patient, Target } from "./finding.ts";
import { examineGraph } from "./graph/examine.ts";
import { rules } from "./rules/index.ts";

export interface DoctorOptions {
  /** What the model is meant for; the default is read from the qconfigs: fake-quantize means training. */
  readonly flow?: Flow;
  /** Which processor the integers will run on (default vnni: no limits beyond 32 bits). */
  readonly target?: Target;
  /** Paths of a qconfig dictionary that is to be used, to be checked. */
  readonly qconfigDictKeys?: readonly string[];
  /** Examine the model for FX: what prepareFx (or prepareQatFx, for a model in training mode and flow "qat") will be called with. */
  readonly fx?: FxRequest;
}

export interface FxRequest {
  readonly qconfigMapping: QConfigMapping;
  readonly prepareCustomConfig?: PrepareCustomConfig;
  /** What can run in integers; native by default. */
  readonly backendConfig?: BackendConfig;
}

function flowOf(qconfigs: Iterable<unknown>): Flow {
  for (const qconfig of qconfigs) {
    if (qconfig instanceof QConfig && qconfig.activation() instanceof FakeQuantizeBase) return "qat";
  }
  return "static";
}

function isPrepared(model: AnyModule): boolean {
  return model.modules().some(isWatcher);
}

function badQConfig(error: FewbitError, model: AnyModule): Finding {
  const known = model.namedModules().some(([path]) => path === error.where);
  return {
    code: "bad-qconfig",
    path: known ? error.where : "",
    location: "",
    cause: error.message,
    fix: "Assign a QConfig, such as getDefaultQConfig(), or null",
  };
}

function captureFailure(error: Error): Finding {
  const readsValues = error.message.includes("values of a tensor were read");
  return {
    code: readsValues ? "reads-values" : "forward-fails",
    path: "",
    location: locationOf(error) || locationInStack(error.stack ?? ""),
    cause: error.message,
    fix: readsValues
      ? "Keep decisions about values out of the forward, or name the module that takes them in leafModules"
      : "Make forward run on the example inputs first",
  };
}

/** The user's line that made a module; of a fused one, the call of fuseModules. */
function madeAt(module: AnyModule | undefined): string {
  if (!module) return "";
  const classes: string[] = [];
  for (let one = module.constructor; one.name !== ""; one = Object.getPrototypeOf(one) as typeof one)
    classes.unshift(one.name);
  return locationInStack(module.madeAt.stack ?? "", classes);
}

/** Gives findings that no line of the forward is to blame for the line where their module is made, or the model. */
function located(model: AnyModule, findings: readonly Finding[]): Finding[] {
  const modules = new Map(model.namedModules());
  return findings.map((finding) => {
    if (finding.location !== "") return finding;
    return { ...finding, location: madeAt(modules.get(finding.path)) || madeAt(model) };
  });
}

/** Mistakes that explain why a module stays float among integers. */
const REASONS = ["dynamic-only", "fused-for-training", "unfused-batch-norm", "illegal-fusion", "unreached-module"];

/** Leaves out what follows from another finding on the same module. */
function mainly(findings: readonly Finding[]): Finding[] {
  const explained = new Set(findings.filter(({ code }) => REASONS.includes(code)).map(({ path }) => path));
  return findings.filter(({ code, path }) => code !== "missing-dequant-stub" || !explained.has(path) || path === "");
}

/** The same mistake at one line is one finding. */
function unique(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, path, location }) => {
    const key = `${code} ${path} ${location}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

/** What prepareFx refuses, as a finding: it checks names itself and says which ones it knows. */
function fxFailure(error: FewbitError, calledAt: string): Finding {
  if (error instanceof GraphError) return captureFailure(error);
  const aboutNames = "name" in error.fields || "known" in error.fields || "near" in error.fields;
  const { near } = error.fields;
  const meant = Array.isArray(near) && near.length > 0 ? `Did you mean ${near.join(", ")}?` : undefined;
  return {
    code: aboutNames ? "qconfig-matches-nothing" : "fx-refuses",
    path: "",
    location: locationOf(error) || calledAt,
    cause: error.message,
    fix: meant ?? error.hint ?? "Correct the QConfigMapping (or the custom config) that prepareFx is given",
  };
}

function examineFx(
  model: AnyModule,
  exampleInputs: readonly unknown[],
  { fx, flow, target = "vnni" }: DoctorOptions,
  calledAt: string,
): Finding[] {
  const { qconfigMapping, prepareCustomConfig = null, backendConfig = null } = fx!;
  const prepareAs = flow === "qat" ? prepareQatFx : prepareFx;
  try {
    const prepared = prepareAs(model.clone(), qconfigMapping, exampleInputs, prepareCustomConfig, backendConfig);
    return examineGraph(prepared, target);
  } catch (error) {
    if (error instanceof FewbitError) return [fxFailure(error, calledAt)];
    throw error;
  }
}

function examineModules(
  model: AnyModule,
  exampleInputs: readonly unknown[],
  options: DoctorOptions,
  calledAt: string,
): Finding[] {
  const copy = model.clone();
  try {
    propagateQConfig(copy);
  } catch (error) {
    if (error instanceof FewbitError) return [badQConfig(error, model)];
    throw error;
  }
  const qconfigs = new Map(
    copy.namedModules().map(([path, module]) => [path, module.qconfig as QConfig | null | undefined]),
  );
  const flow = options.flow ?? flowOf(qconfigs.values());
  // Eval mode before prepareQat is a mistake of its own; the rest is told as if it were mended.
  const dry = dryRun(flow === "qat" && !isPrepared(model) ? model.clone().train() : model, flow);
  const { trace, failure } = traceUnits(model, exampleInputs);
  const run = trace ? { trace, replay: replay(trace, dry), calls: callsByPath(trace.graph) } : null;
  const { target = "vnni", qconfigDictKeys = [] } = options;
  const units = outermostUnits(model);
  const patient: Patient = { model, flow, target, qconfigDictKeys, calledAt, qconfigs, units, dry, run };
  const findings = mainly(rules.flatMap((rule) => rule(patient)));
  return failure ? [captureFailure(failure), ...findings] : findings;
}

/**
 * Mistakes in a model about to be quantized, as data: which, in which module, at which line, why, and what to write
 * instead. An empty list means none was found. Takes models at any stage of eager mode; graphs of FX and PyTorch 2
 * Export, prepared or converted; and, with the option `fx`, models that prepareFx will be given.
 * @param exampleInputs the arguments of forward; only dtypes and shapes matter. Graphs have their own.
 */
export function doctor(model: AnyModule, exampleInputs: readonly unknown[], options: DoctorOptions = {}): Finding[] {
  const calledAt = callerLocation();
  let findings: Finding[];
  if (model instanceof GraphModule) findings = examineGraph(model, options.target ?? "vnni");
  else if (options.fx) findings = examineFx(model, exampleInputs, options, calledAt);
  else findings = examineModules(model, exampleInputs, options, calledAt);
  return unique(located(model, findings));
}

/** 0 when there is nothing to mend, else 1: for CI. */
export function doctorExitCode(findings: readonly Finding[]): 0 | 1 {
  return findings.length > 0 ? 1 : 0;
}

/** Findings as text, three lines each. */
export function findingsText(findings: readonly Finding[]): string {
  if (findings.length === 0) return "no mistakes found";
  return findings
    .map(({ code, path, location, cause, fix }) => {
      const where = [path === "" ? "(root)" : path, location].filter((part) => part !== "").join(", ");
      return `${code}: ${where}\n  cause: ${cause}\n  fix:   ${fix}`;
    })
    .join("\n");
}
