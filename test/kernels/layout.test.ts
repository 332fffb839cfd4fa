import { describe, expect, test } from "vitest";
import { Lines, engines, floats } from "./support.ts";

const SIZES = [0, 1, 2, 3, 4, 5, 8, 9];
const MARK = 99;

describe.each(engines)("$build build: layout", (engine) => {
  const { kernels: k, memory } = engine;

  test.each(SIZES.flatMap((rows) => SIZES.map((columns) => [rows, columns] as const)))(
    "transpose %i x %i with strides",
    (rows, columns) => {
      const [sRow, dRow] = [columns + 3, rows + 2];
      const s = floats(rows * sRow, 1);
      Lines.use(engine, 2, (lines) => {
        const [from, to] = [lines.block(s), lines.block(new Float32Array(columns * dRow).fill(MARK))];
        k.layout_transpose32(rows, columns, from, sRow * 4, to, dRow * 4);
        const want = Float32Array.from({ length: columns * dRow }, (_, i) => {
          const [c, r] = [Math.floor(i / dRow), i % dRow];
          return r < rows ? s[r * sRow + c]! : MARK;
        });
        expect(memory.f32(to, want.length).slice()).toEqual(want);
      });
    },
  );

  test.each([
    [1, 1, 1],
    [3, 2, 5],
    [8, 4, 4],
    [5, 3, 9],
  ])("planes to bordered pixels and back: %i channels of %i x %i", (channels, h, w) => {
    const planes = floats(channels * h * w, 2);
    const [pixel, row] = [channels * 4, (w + 2) * channels * 4];
    Lines.use(engine, 2, (lines) => {
      const [from, back] = [lines.block(planes), lines.block(new Float32Array(planes.length))];
      const image = lines.block(new Float32Array((h + 2) * (w + 2) * channels).fill(MARK));
      const inside = image + row + pixel;
      k.layout_planes_to_pixels(channels, h, w, from, h * w * 4, inside, row, pixel);
      expect(memory.f32(inside + row * (h - 1) + pixel * (w - 1), channels).slice()).toEqual(
        Float32Array.from({ length: channels }, (_, c) => planes[(c + 1) * h * w - 1]!),
      );
      const border = memory.f32(image, (h + 2) * (w + 2) * channels).filter((v) => v === MARK).length;
      expect(border).toBe(((h + 2) * (w + 2) - h * w) * channels);
      k.layout_pixels_to_planes(channels, h, w, inside, row, pixel, back, h * w * 4);
      expect(memory.f32(back, planes.length).slice()).toEqual(planes);
    });
  });

  test.each([
    [1, 1, 1],
    [3, 2, 5],
    [8, 3, 16],
    [9, 2, 17],
    [24, 3, 15],
    [16, 2, 40],
  ])("bytes of planes to bordered pixels and back: %i channels of %i x %i", (channels, h, w) => {
    const planes = Uint8Array.from({ length: channels * h * w }, (_, i) => (i * 37) & 255);
    const flipped = planes.map((byte) => byte ^ 0x80);
    const row = (w + 2) * channels;
    const bordered = (h + 2) * row;
    engine.memory.scope((alloc) => {
      const [from, back, image] = [alloc(planes.length), alloc(planes.length + 1), alloc(bordered)];
      memory.u8(from, planes.length).set(planes);
      memory.u8(image, bordered).fill(MARK);
      memory.u8(back, planes.length + 1).fill(MARK);
      const inside = image + row + channels;
      k.layout_planes_to_pixels8(channels, h, w, from, h * w, inside, row, channels, 0x80);
      const want = new Uint8Array(bordered).fill(MARK);
      flipped.forEach((byte, i) => {
        const [c, y, x] = [Math.floor(i / h / w), Math.floor(i / w) % h, i % w];
        want[(y + 1) * row + (x + 1) * channels + c] = byte;
      });
      expect([...memory.u8(image, bordered)]).toEqual([...want]);
      k.layout_pixels_to_planes8(channels, h, w, inside, row, channels, back, h * w, 0x80);
      expect([...memory.u8(back, planes.length + 1)]).toEqual([...planes, MARK]);
    });
  });

  test("a grid of offsets", () => {
    Lines.use(engine, 2, (lines) => {
      const at = lines.block(new Float32Array(12));
      k.layout_grid(at, 7, 2, 1000, 1, 0, 2, 100, 3, 10);
      expect([...memory.i32(at, 12)]).toEqual([7, 17, 27, 107, 117, 127, 1007, 1017, 1027, 1107, 1117, 1127]);
    });
  });

  test.each(SIZES)("fill %i floats and bytes", (n) => {
    Lines.use(engine, 2, (lines) => {
      const at = lines.block(new Float32Array(n + 1).fill(MARK));
      k.fill_f32(at, -2, n);
      expect([...memory.f32(at, n + 1)]).toEqual([...Array.from({ length: n }, () => -2), MARK]);
      k.fill_bytes(at, 255, n);
      expect([...memory.u8(at, n)]).toEqual(Array.from({ length: n }, () => 255));
    });
  });
});
