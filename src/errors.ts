/**
 * Every error fewbit throws on purpose.
 *
 * An error is data first (`fields`), a sentence second: callers match on the class and the fields,
 * people read the sentence. The sentence says where, which rule was broken, what was given, and,
 * when there is one, how to mend it. It is composed here and nowhere else.
 */

export type ErrorFields = Readonly<Record<string, unknown>>;

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (typeof value === "string") return value;
  if (typeof value === "bigint") return value.toString();
  if (value === undefined) return "undefined";
  return JSON.stringify(value) ?? typeof value;
}

function compose(where: string, rule: string, fields: ErrorFields, hint?: string): string {
  const got = Object.entries(fields)
    .map(([name, value]) => `${name} = ${show(value)}`)
    .join(", ");
  const sentence = `${where}: ${rule}${got ? ` (got ${got})` : ""}`;
  return hint ? `${sentence}. ${hint}` : sentence;
}

/** What was given, as a word: the class of an object, else the type. */
export function kindGiven(value: unknown): string {
  return typeof value === "object" && value !== null ? value.constructor.name : typeof value;
}

/** Base of all errors of this library: `where` names the operator, module or file at fault. */
export class FewbitError extends Error {
  readonly where: string;
  readonly rule: string;
  readonly fields: ErrorFields;
  readonly hint: string | undefined;

  constructor(where: string, fields: ErrorFields, rule: string, hint?: string) {
    super(compose(where, rule, fields, hint));
    this.name = new.target.name;
    this.where = where;
    this.rule = rule;
    this.fields = fields;
    this.hint = hint;
  }
}

/** Shapes that do not fit together, or an axis that does not exist. */
export class ShapeError extends FewbitError {}
/** A dtype an operator does not take, or a quantized tensor where a float one is needed (and the reverse). */
export class DtypeError extends FewbitError {}
/** An argument outside its legal values. */
export class ArgumentError extends FewbitError {}
/** Quantization flow used wrongly: qconfigs, observers, prepare, convert. */
export class QuantError extends FewbitError {}
/** Module trees: unknown names, state dicts that do not match. */
export class ModuleError extends FewbitError {}
/** Gradients asked for where there are none. */
export class AutogradError extends FewbitError {}
/** Graph capture, rewriting, printing and parsing. */
export class GraphError extends FewbitError {}
/** The WebAssembly engine: memory, threads, kernels it lacks. */
export class EngineError extends FewbitError {}
/** A file that is truncated, hostile or not of the format it claims. */
export class FileFormatError extends FewbitError {}
/** ONNX models that cannot be read, written or represented. */
export class OnnxError extends FewbitError {}
/**
 * Data for calibration or evaluation that cannot be used (none at all, a wrong shape, a NaN; names file and sample), and
 * files that cannot be written.
 */
export class DataError extends FewbitError {}
/** An optional package that is needed now and is not installed. */
export class DependencyError extends FewbitError {}
