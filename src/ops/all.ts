/** Defines every operator, so that a graph read from a file finds those it names. */
import "./index.ts";
import "./quantize/index.ts";
import "./quantize/dynamic-linear.ts";
import "./quantized/activations.ts";
import "./quantized/arithmetic.ts";
import "./quantized/conv.ts";
import "./quantized/conv-transpose.ts";
import "./quantized/dynamic.ts";
import "./quantized/embedding.ts";
import "./quantized/integer-matmul.ts";
import "./quantized/interpolate.ts";
import "./quantized/joins.ts";
import "./quantized/linear.ts";
import "./quantized/linear-activation.ts";
import "./quantized/norms.ts";
import "./quantized/pools.ts";
import "./quantized/prelu.ts";
