/** One table of all samples, by operator. */

import { elementwiseSamples } from "./elementwise.ts";
import { layerSamples } from "./layers.ts";
import { reductionSamples, shapeSamples } from "./tensors.ts";
import type { SampleTable } from "./sample.ts";

const STRAIGHT_THROUGH = "its gradient is by definition not its slope; compared with PyTorch's in test/golden";

export const samples: SampleTable = {
  ...elementwiseSamples,
  ...reductionSamples,
  ...shapeSamples,
  ...layerSamples,
  fakeQuantize: { untested: STRAIGHT_THROUGH },
  fakeQuantizeGradient: { untested: STRAIGHT_THROUGH },
  fusedMovingAvgObsFakeQuant: { untested: STRAIGHT_THROUGH },
  fakeQuantizeLearnable: { untested: STRAIGHT_THROUGH },
  fakeQuantizeAffine: { untested: STRAIGHT_THROUGH },
  fakeQuantizeAffineGradient: { untested: STRAIGHT_THROUGH },
};
