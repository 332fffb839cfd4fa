// Optimizers' updates on flat float arrays. Hyperparameters are f64, products with them are formed in f64, and what
// is stored is rounded to f32 at the same places as in src/optim, so that both give the same bits.

/** Two floats at `at`, as doubles. */
@inline
function pair(at: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(at));
}

/** Doubles rounded to f32, in the low half. */
@inline
function rounded(v: v128): v128 {
  return f32x4.demote_f64x2_zero(v);
}

/** The same, as doubles again. */
@inline
function through(v: v128): v128 {
  return f64x2.promote_low_f32x4(rounded(v));
}

/**
 * Stochastic gradient descent (torch/optim/sgd.py) on n floats: g = grad + decay * w; with momentum != 0,
 * m = first ? g : momentum * m + (1 - dampening) * g and g = nesterov ? g + momentum * m : m; w -= rate * g.
 * m is neither read nor written when momentum = 0. Two floats at a time; a last single one is computed twice and
 * written once. Up to 4 bytes past the ends are read.
 */
export function f32_sgd_step(
  n: usize, w: usize, grad: usize, m: usize, rate: f64, decay: f64, momentum: f64, dampening: f64, nesterov: i32, first: i32,
): void {
  const r = f64x2.splat(rate), d = f64x2.splat(decay), mu = f64x2.splat(momentum), fresh = f64x2.splat(1 - dampening);
  for (const end = w + (n << 2); w < end; w += 8) {
    const single = end - w == 4, value = pair(w);
    let g = pair(grad);
    if (decay != 0) g = through(f64x2.add(g, f64x2.mul(d, value)));
    if (momentum != 0) {
      const b = first ? g : through(f64x2.add(through(f64x2.mul(pair(m), mu)), f64x2.mul(fresh, g)));
      if (single) v128.store32_lane(m, rounded(b), 0);
      else v128.store64_lane(m, rounded(b), 0);
      g = nesterov ? through(f64x2.add(g, f64x2.mul(mu, b))) : b;
      m += 8;
    }
    const result = rounded(f64x2.sub(value, f64x2.mul(r, g)));
    if (single) v128.store32_lane(w, result, 0);
    else v128.store64_lane(w, result, 0);
    grad += 8;
  }
}

/**
 * Adam and AdamW (torch/optim/adam.py) on n floats: w *= shrink; g = grad + decay * w; m += (1 - beta1) (g - m);
 * v = beta2 v + (1 - beta2) g^2; w -= stepSize * m / (sqrt(v) / rootCorrection + eps). Adam has shrink = 1, AdamW
 * decay = 0 and shrink = 1 - rate * decay. peak: the largest v so far, used in its place (AMSGrad), or 0 for none.
 */
export function f32_adam_step(
  n: usize, w: usize, grad: usize, m: usize, v: usize, peak: usize, stepSize: f64, rootCorrection: f64,
  beta1: f64, beta2: f64, eps: f64, decay: f64, shrink: f64,
): void {
  const shrunk = f64x2.splat(shrink), d = f64x2.splat(decay), fresh1 = f64x2.splat(1 - beta1), fresh2 = f64x2.splat(1 - beta2);
  const b2 = f64x2.splat(beta2), size = f64x2.splat(stepSize), root = f64x2.splat(rootCorrection), e = f64x2.splat(eps);
  for (const end = w + (n << 2); w < end; w += 8) {
    const single = end - w == 4, value = through(f64x2.mul(pair(w), shrunk)), mean = pair(m);
    let g = pair(grad);
    if (decay != 0) g = through(f64x2.add(g, f64x2.mul(d, value)));
    // Differences and products of two floats, rounded to f32: the same in either precision.
    const newMean = through(f64x2.add(mean, f64x2.mul(fresh1, through(f64x2.sub(g, mean)))));
    const newSquare = through(f64x2.add(through(f64x2.mul(pair(v), b2)), f64x2.mul(fresh2, through(f64x2.mul(g, g)))));
    let square = newSquare;
    if (peak) {
      square = f64x2.pmax(pair(peak), newSquare);
      if (single) v128.store32_lane(peak, rounded(square), 0);
      else v128.store64_lane(peak, rounded(square), 0);
      peak += 8;
    }
    const denominator = through(f64x2.add(through(f64x2.div(f64x2.sqrt(square), root)), e));
    const result = rounded(f64x2.sub(value, f64x2.mul(size, through(f64x2.div(newMean, denominator)))));
    if (single) {
      v128.store32_lane(m, rounded(newMean), 0);
      v128.store32_lane(v, rounded(newSquare), 0);
      v128.store32_lane(w, result, 0);
    } else {
      v128.store64_lane(m, rounded(newMean), 0);
      v128.store64_lane(v, rounded(newSquare), 0);
      v128.store64_lane(w, result, 0);
    }
    grad += 8;
    m += 8;
    v += 8;
  }
}
