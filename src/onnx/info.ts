/** What an ONNX file says about itself beside the graph; kept in `GraphModule.preserved.onnx` for export. */
export interface OnnxInfo {
  readonly opset: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly domain: string;
  readonly docString: string;
  readonly modelVersion: number;
  readonly metadata: Readonly<Record<string, string>>;
}
