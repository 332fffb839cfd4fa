/** The search of a histogram's best range against PyTorch's vectors: both ends equal, bit for bit. */

import { describe, expect, it } from "vitest";
import { searchHistogram } from "../../src/ops/quantize/histogram-search.ts";
import { numberAt, table, tensorAt } from "./compare.ts";
import { loadGolden } from "./load.ts";

describe("histogram search", () => {
  it.each(table(loadGolden("histogram-search").cases))("%s", (_, { inputs, attrs, expected }) => {
    const histogram = {
      counts: Float32Array.from(tensorAt(inputs, "counts").data),
      min: tensorAt(inputs, "min").item(),
      max: tensorAt(inputs, "max").item(),
    };
    const range = searchHistogram(histogram, numberAt(attrs, "targets"));
    expect(range).toEqual({ min: tensorAt(expected, "min").item(), max: tensorAt(expected, "max").item() });
  });
});
