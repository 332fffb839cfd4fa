/** What an ONNX file says about itself beside the graph; kept in `GraphModule.preserved.onnx` for export. */

export interface DeclaredType {
  /** ONNX's number of the element type. */
  readonly elemType: number;
  /** Sizes, names of open ones, null for nameless ones; null when not even the number of axes is declared. */
  readonly dims: readonly (number | string | null)[] | null;
}

export interface OnnxInfo {
  /** Size of the file and of those beside it that its values are in. */
  readonly bytes: number;
  readonly opset: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** What the file says of inputs and outputs, by name: the types of values that are known only when they run. */
  readonly types: Readonly<Record<string, DeclaredType>>;
  readonly domain: string;
  readonly docString: string;
  readonly modelVersion: number;
  readonly metadata: Readonly<Record<string, string>>;
}
