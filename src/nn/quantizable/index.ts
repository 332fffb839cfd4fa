/** Layers taken apart so that they can be observed and quantized, as in torch.ao.nn.quantizable. */

export { LSTM, LSTMCell } from "./lstm.ts";
export * from "./multihead-attention.ts";
export type { ConvertTools, PrepareTools } from "./tools.ts";
