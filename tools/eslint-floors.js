/**
 * Lint rule: a file imports only from its own floor or from floors below it.
 *
 * The table is the one of docs/architecture.md; the longest matching folder decides. A type-only import of
 * a higher floor is refused as well: it would still be knowledge that points the wrong way.
 */
import path from "node:path";

/** Folder below src/ → floor. */
export const floors = {
  kernels: 0,
  errors: 0,
  "tensor/rounding": 0, // depends on nothing; the kernels' references round with it
  files: 1,
  tensor: 1,
  engine: 1,
  ops: 2,
  autograd: 2,
  nn: 3,
  optim: 3,
  data: 3,
  quantization: 4,
  graph: 4,
  "nn/quantized": 5,
  "nn/qat": 5,
  "nn/intrinsic/qat": 5,
  "nn/intrinsic/quantized": 5,
  "nn/quantizable": 5,
  "nn/reference": 5,
  compile: 5,
  browser: 6,
  runtime: 6,
  index: 6,
  "quantization/entry": 6,
  "quantization/eager": 6,
  "quantization/fx": 6,
  "quantization/pt2e": 6,
  "quantization/weights": 6,
  "quantization/suite": 6,
  onnx: 6,
  "onnx/quantize": 7,
  "onnx/backend": 7,
  report: 7,
  doctor: 7,
  cli: 8,
};

function floorOf(file, src) {
  const inside = path
    .relative(src, file)
    .replaceAll(path.sep, "/")
    .replace(/\.[jt]s$/, "");
  if (inside.startsWith("..")) return undefined;
  let best;
  for (const folder of Object.keys(floors)) {
    if ((inside === folder || inside.startsWith(`${folder}/`)) && (!best || folder.length > best.length)) best = folder;
  }
  return best === undefined ? undefined : { folder: best, floor: floors[best] };
}

export const floorRule = {
  meta: {
    type: "problem",
    schema: [],
    messages: { up: "{{from}} (floor {{low}}) must not import from {{to}} (floor {{high}})" },
  },
  create(context) {
    const src = path.join(context.cwd, "src");
    const here = floorOf(context.filename, src);
    if (!here) return {};
    const check = (node) => {
      const target = node.source?.value;
      if (typeof target !== "string" || !target.startsWith(".")) return;
      const there = floorOf(path.resolve(path.dirname(context.filename), target), src);
      if (there && there.floor > here.floor) {
        context.report({
          node,
          messageId: "up",
          data: { from: here.folder, low: here.floor, to: there.folder, high: there.floor },
        });
      }
    };
    return { ImportDeclaration: check, ExportNamedDeclaration: check, ExportAllDeclaration: check };
  },
};
