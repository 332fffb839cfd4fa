/** A short name of a model and its settings, by which saved calibrations are told apart (FNV-1a, from two bases). */

import { printGraph } from "../../graph/print.ts";
import type { GraphModule } from "../../graph/graph-module.ts";
import type { Settings } from "./settings.ts";

const PRIME = 0x01000193;
const BASES = [0x811c9dc5, 0x050c5d1f];
/** Values of a stored tensor that are looked at. */
const LOOKED_AT = 256;

export function fingerprintOf({ graph }: GraphModule, settings: Settings): string {
  const weights = [...graph.attributes].map(([name, { data, numel }]) => {
    const step = Math.max(1, Math.floor(numel / LOOKED_AT));
    const values: number[] = [];
    for (let i = 0; i < numel; i += step) values.push(Number(data[i]!));
    return `${name}:${values.join()}`;
  });
  const text = JSON.stringify([printGraph(graph), settings, weights]);
  return BASES.map((basis) => {
    let hash = basis;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), PRIME) >>> 0;
    return hash.toString(16).padStart(8, "0");
  }).join("");
}
