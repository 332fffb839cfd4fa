import { expect, it } from "vitest";
import { reluBits, reluGradBits } from "../../src/ops/relu-bits.ts";

const negativeNaN = new Float32Array(Int32Array.of(0xffc00000 | 0).buffer)[0]!;
const special = Float32Array.of(NaN, negativeNaN, Infinity, -Infinity, 0, -0, 1e-45, -1e-45, 3.5, -3.5, 3.4e38, -3.4e38);

it("agrees with the definition on every kind of number", () => {
  const y = new Float32Array(special.length);
  reluBits(special, y);
  expect([...y]).toEqual([...special].map((v) => (v > 0 || v !== v ? v : 0)));
});

it("lets gradients through where x is positive or NaN", () => {
  const dy = special.map((_, i) => i - 5.5);
  const dx = new Float32Array(special.length);
  reluGradBits(dy, special, dx);
  expect([...dx]).toEqual([...special].map((v, i) => (v > 0 || v !== v ? dy[i] : 0)));
});
