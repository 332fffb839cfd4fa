/**
 * Drawn faces: ovals of skin with hair, eyes, brows, nose and mouth before a plain background. Face detectors trained
 * on photographs find them with scores near 1, so that a detector can be tried where no photographs are at hand.
 */

import { Generator, Tensor, rand } from "fewbit";

type Color = readonly [red: number, green: number, blue: number];

interface Mark {
  /** Center and half axes, in units of the face's half width; y points down. */
  readonly x: number;
  readonly y: number;
  readonly rx: number;
  readonly ry: number;
  readonly color: Color;
  readonly strength: number;
  /** Width of the soft edge. */
  readonly edge: number;
}

const mark = (x: number, y: number, rx: number, ry: number, color: Color, strength = 1, edge = 0.12): Mark => ({
  x,
  y,
  rx,
  ry,
  color,
  strength,
  edge,
});

const behind: readonly Mark[] = [
  mark(0, 2.3, 2.2, 1.2, [60, 70, 120]), // shoulders
  mark(0, 1, 0.45, 0.6, [190, 140, 115]), // neck
  mark(0, -0.15, 1.12, 1.1, [50, 35, 25]), // hair
];

const eye = (side: number): readonly Mark[] => [
  mark(side * 0.42, -0.36, 0.26, 0.06, [60, 40, 30], 0.8, 0.2),
  mark(side * 0.4, -0.18, 0.2, 0.09, [240, 240, 240], 1, 0.15),
  mark(side * 0.4, -0.18, 0.085, 0.08, [30, 20, 20], 1, 0.15),
  mark(side * 0.1, 0.28, 0.06, 0.04, [120, 80, 65], 0.7, 0.3),
];

const before: readonly Mark[] = [
  ...eye(-1),
  ...eye(1),
  mark(0, 0.1, 0.1, 0.3, [180, 125, 100], 0.5, 0.3), // nose
  mark(0, 0.58, 0.32, 0.09, [160, 60, 60], 1, 0.15), // lips
  mark(0, 0.58, 0.3, 0.02, [80, 20, 20], 0.7, 0.15),
];

/** Height of a face by its width. */
const TALL = 1.3;
const HAIRLINE = -0.62;
const GRAIN = 8;

function paint(color: number[], m: Mark, x: number, y: number): void {
  const cover = m.strength / (1 + Math.exp((Math.hypot((x - m.x) / m.rx, (y - m.y) / m.ry) - 1) / m.edge));
  for (let k = 0; k < 3; k++) color[k] = color[k]! * (1 - cover) + m.color[k]! * cover;
}

function skin(color: number[], x: number, y: number): void {
  const edge = 0.08;
  const below = 1 / (1 + Math.exp((HAIRLINE - y) / edge));
  const cover = below / (1 + Math.exp((Math.hypot(x, y) - 1) / edge));
  const shade = [224 - 30 * Math.abs(x), 172 - 30 * Math.abs(x), 140 - 20 * Math.abs(x)];
  for (let k = 0; k < 3; k++) color[k] = color[k]! * (1 - cover) + shade[k]! * cover;
}

export interface Face {
  readonly x: number;
  readonly y: number;
  /** Half the width, in pixels. */
  readonly radius: number;
}

/** An image [1, 3, height, width] with faces, normalized to (v - 127) / 128; the seed makes background and grain. */
export function drawFaces(faces: readonly Face[], seed: number, width = 320, height = 240): Tensor {
  const generator = new Generator(seed);
  const grain = rand([height * width], { generator }).data;
  const ground = Array.from(rand([3], { generator }).data, (v) => 60 + 120 * v);
  const data = new Float32Array(3 * height * width);
  for (let i = 0; i < height * width; i++) {
    const color = [...ground];
    for (const face of faces) {
      const x = ((i % width) - face.x) / face.radius;
      const y = (Math.floor(i / width) - face.y) / (TALL * face.radius);
      for (const m of behind) paint(color, m, x, y);
      skin(color, x, y);
      for (const m of before) paint(color, m, x, y);
    }
    for (let k = 0; k < 3; k++) {
      const value = Math.min(Math.max(color[k]! + (grain[i]! - 0.5) * GRAIN, 0), 255);
      data[k * height * width + i] = (value - 127) / 128;
    }
  }
  return new Tensor("float32", [1, 3, height, width], data);
}

/** A picture of one or two faces of random size and place. */
export function randomPicture(seed: number): Tensor {
  const random = rand([8], { generator: new Generator(seed) }).data;
  const faces = Array.from({ length: 1 + Math.floor(random[0]! * 2) }, (_, i) => ({
    x: 70 + 180 * ((random[1]! + 0.55 * i) % 1),
    y: 90 + 50 * random[2 + i]!,
    radius: 16 + 34 * random[4 + i]!,
  }));
  return drawFaces(faces, seed);
}
