/**
 * `doctor`: looks for the usual mistakes before a model is calibrated.
 *
 * A copy of the model is captured, prepared and converted on made-up data, and the captured calls are replayed with the
 * types of the converted model; rules read the results. Nothing is computed and the model is not changed.
 */

import { FewbitError } from "../errors.ts";
import type { AnyModule } from "../nn/module.ts";
import { propagateQConfig } from "../quantization/eager/propagate.ts";
import { FakeQuantizeBase } from "../quantization/fake-quantize/base.ts";
import { QConfig } from "../quantization/qconfig.ts";
import { dryRun } from "./analysis/dry.ts";
import type { Flow } from "./analysis/dry.ts";
import { replay } from "./analysis/replay.ts";
import { callsByPath, locationOf, traceUnits } from "./analysis/trace.ts";
import { outermostUnits } from "./analysis/units.ts";
import type { Finding, Patient, Target } from "./finding.ts";
import { rules } from "./rules/index.ts";

export interface DoctorOptions {
  /** What the model is meant for; the default is read from the qconfigs: fake-quantize means training. */
  readonly flow?: Flow;
  /** Which processor the integers will run on (default vnni: no limits beyond 32 bits). */
  readonly target?: Target;
  /** Paths of a qconfig dictionary that is to be used, to be checked. */
  readonly qconfigDictKeys?: readonly string[];
}

function flowOf(qconfigs: Iterable<unknown>): Flow {
  for (const qconfig of qconfigs) {
    if (qconfig instanceof QConfig && qconfig.activation() instanceof FakeQuantizeBase) return "qat";
  }
  return "static";
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
    location: locationOf(error),
    cause: error.message,
    fix: readsValues
      ? "Keep decisions about values out of the forward, or name the module that takes them in leafModules"
      : "Make forward run on the example inputs first",
  };
}

/** The same mistake at one line is one finding. */
function unique(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, path, location }) => {
    const key = `${code} ${path} ${location}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

/**
 * Mistakes in a model about to be quantized, as data: which, in which module, at which line, why, and what to write
 * instead. An empty list means none was found.
 * @param exampleInputs the arguments of forward; only dtypes and shapes matter.
 */
export function doctor(model: AnyModule, exampleInputs: readonly unknown[], options: DoctorOptions = {}): Finding[] {
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
  const dry = dryRun(model, flow);
  const { trace, failure } = traceUnits(model, exampleInputs);
  const run = trace ? { trace, replay: replay(trace, dry), calls: callsByPath(trace.graph) } : null;
  const { target = "vnni", qconfigDictKeys = [] } = options;
  const patient: Patient = { model, flow, target, qconfigDictKeys, qconfigs, units: outermostUnits(model), dry, run };
  const findings = rules.flatMap((rule) => rule(patient));
  return unique(failure ? [captureFailure(failure), ...findings] : findings);
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
