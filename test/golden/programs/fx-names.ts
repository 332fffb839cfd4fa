/**
 * PyTorch's names of types in fewbit's: classes keep their names (trained ones with `qat.` before), functions and
 * methods become the operators that a captured graph holds.
 */

/** Operators that have another name in a graph; [] for what a graph does not hold. */
const operators: Readonly<Record<string, readonly string[]>> = {
  floordiv: ["floorDivide"],
  flatten: ["reshape"],
  squeeze: ["reshape"],
  unsqueeze: ["reshape"],
  view: ["reshape"],
  resize: ["reshape"],
  transpose: ["permute"],
  permute_copy: ["permute"],
  concat: ["cat"],
  concatenate: ["cat"],
  contiguous: [],
  detach: [],
};

const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** fewbit's names of a type such as `nn.Conv2d`, `nniqat.ConvBn2d`, `F.relu`, `operator.add` or `method:view`. */
export function typeNames(name: string): readonly string[] {
  const [, space, rest] = /^([A-Za-z]+)[.:](.+)$/.exec(name) ?? ["", "", "", name];
  if (space === "nnqr") return [`reference.${rest}`];
  if (space === "nnqat" || space === "nniqat") return [`qat.${rest}`];
  if (space === "nn" || space === "nni" || space === "ao" || !space) return [rest];
  const plain = rest.replace(/_$/, "");
  return operators[plain] ?? [camel(plain)];
}
