// Optimizers' updates on flat float arrays. Hyperparameters are f64, products with them are formed in f64, and what
// is stored is rounded to f32 at the same places as in src/optim, so that both give the same bits.

/**
 * Stochastic gradient descent (torch/optim/sgd.py) on n floats: g = grad + decay * w; with momentum != 0,
 * m = first ? g : momentum * m + (1 - dampening) * g and g = nesterov ? g + momentum * m : m; w -= rate * g.
 * m is neither read nor written when momentum = 0.
 */
export function f32_sgd_step(
  n: usize, w: usize, grad: usize, m: usize, rate: f64, decay: f64, momentum: f64, dampening: f64, nesterov: i32, first: i32,
): void {
  for (const end = w + (n << 2); w < end; w += 4) {
    const value: f64 = f32.load(w);
    let g = f32.load(grad);
    if (decay != 0) g = <f32>(<f64>g + decay * value);
    if (momentum != 0) {
      const b = first ? g : <f32>(<f64><f32>(<f64>f32.load(m) * momentum) + (1 - dampening) * <f64>g);
      f32.store(m, b);
      g = nesterov ? <f32>(<f64>g + momentum * <f64>b) : b;
      m += 4;
    }
    f32.store(w, <f32>(value - rate * <f64>g));
    grad += 4;
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
  for (const end = w + (n << 2); w < end; w += 4) {
    const value = <f32>(<f64>f32.load(w) * shrink);
    let g = f32.load(grad);
    if (decay != 0) g = <f32>(<f64>g + decay * <f64>value);
    const mean = f32.load(m);
    const newMean = <f32>(<f64>mean + (1 - beta1) * <f64>(g - mean));
    const newSquare = <f32>(<f64><f32>(<f64>f32.load(v) * beta2) + (1 - beta2) * <f64>(g * g));
    f32.store(m, newMean);
    f32.store(v, newSquare);
    let square = newSquare;
    if (peak) {
      square = max(f32.load(peak), newSquare);
      f32.store(peak, square);
      peak += 4;
    }
    const denominator = <f32>(<f64><f32>(Math.sqrt(<f64>square) / rootCorrection) + eps);
    f32.store(w, <f32>(<f64>value - stepSize * <f64><f32>(<f64>newMean / <f64>denominator)));
    grad += 4;
    m += 4;
    v += 4;
  }
}
