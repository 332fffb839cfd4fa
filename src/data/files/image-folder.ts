/**
 * Folders of images: a subfolder for each class, or all in one folder with a file of labels.
 *
 * Pictures are decoded by sharp, an optional peer, resized, and normalised like stored pixels. Classes are numbered in
 * the order of their names (as torchvision's ImageFolder does; names that are numbers count as numbers), and samples are
 * taken from the classes in turn, so that the first hundred show every class.
 */

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import type { Sharp } from "sharp";
import { DataError } from "../../errors.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { layoutOf, preprocess } from "../preprocess.ts";
import type { Preprocess } from "../preprocess.ts";
import type { BatchOptions, DataBatch, DataSource, InputSpec } from "../source.ts";
import { importPeer } from "./peer.ts";

export type ResizeMode = "crop" | "stretch" | "pad";

export interface ImageOptions extends Preprocess {
  /** Width and height in pixels; by default those of the model's input. */
  readonly size?: readonly [width: number, height: number];
  /**
   * crop: the shorter side is brought to size, the middle cut out (default). stretch: both sides are brought to size.
   * pad: the longer side is brought to size, black bars fill the rest.
   */
  readonly resize?: ResizeMode;
  /** With crop: what the shorter side is brought to before the middle is cut out (256 for many 224-pixel networks). */
  readonly shorterSide?: number;
  /** Interpolation; default linear. */
  readonly kernel?: "nearest" | "linear" | "cubic" | "lanczos3";
  /** A text file, "name label" a line (blank, comma or tab between), for folders without subfolders. */
  readonly labels?: string;
}

export const imageExtensions: readonly string[] = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".avif"];

interface Picture {
  readonly file: string;
  readonly label: number | null;
}

interface Listing {
  readonly pictures: readonly Picture[];
  readonly classNames: readonly string[] | null;
}

const isImage = (name: string): boolean => imageExtensions.includes(path.extname(name).toLowerCase());

/** Pictures in a folder itself, by name. */
function imagesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && isImage(entry.name))
    .map(({ name }) => name)
    .sort();
}

function subfolders(folder: string): string[] {
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map(({ name }) => name)
    .sort();
  return names.every((name) => /^\d+$/.test(name)) ? names.sort((a, b) => Number(a) - Number(b)) : names;
}

/** Whether a folder holds pictures, or subfolders with pictures. */
export function holdsImages(folder: string): boolean {
  return imagesIn(folder).length > 0 || subfolders(folder).some((name) => imagesIn(path.join(folder, name)).length > 0);
}

/** One of each class, then the second of each, and so on. */
function inTurn(classes: readonly (readonly Picture[])[]): Picture[] {
  const longest = Math.max(0, ...classes.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => classes.flatMap((pictures) => pictures[i] ?? [])).flat();
}

/** "name label" lines. */
function readLabels(file: string): { labels: Map<string, number>; classNames: string[] | null } {
  const rows = readFileSync(file, "utf8")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => /^(.+?)[\s,;]+([^\s,;]+)$/.exec(line));
  const bad = rows.findIndex((row) => row === null);
  if (bad >= 0) throw new DataError(file, { line: bad + 1 }, 'every line must be "name label"');
  const texts = rows.map((row) => row![2]!);
  const numeric = (text: string): boolean => /^\d+$/.test(text);
  // A heading such as "file,label" is no row.
  const kept = rows.filter((row, i) => i > 0 || isImage(row![1]!) || numeric(texts[0]!));
  const names = [...new Set(kept.map((row) => row![2]!))].sort();
  const classNames = names.every(numeric) ? null : names;
  const labels = kept.map((row) => [row![1]!, classNames ? names.indexOf(row![2]!) : Number(row![2])] as const);
  return { labels: new Map(labels), classNames };
}

function listFlat(folder: string, labelsFile: string | undefined): Listing {
  const names = imagesIn(folder);
  if (labelsFile === undefined)
    return { pictures: names.map((name) => ({ file: path.join(folder, name), label: null })), classNames: null };
  const { labels, classNames } = readLabels(labelsFile);
  const pictures = names.map((name) => {
    const label = labels.get(name) ?? labels.get(path.parse(name).name);
    if (label === undefined)
      throw new DataError(labelsFile, { image: name }, "the file of labels has no line for an image of the folder");
    return { file: path.join(folder, name), label };
  });
  return { pictures, classNames };
}

function list(folder: string, labelsFile: string | undefined): Listing {
  if (imagesIn(folder).length > 0) return listFlat(folder, labelsFile);
  const classNames = subfolders(folder);
  const classes = classNames.map((name, label) =>
    imagesIn(path.join(folder, name)).map((image) => ({ file: path.join(folder, name, image), label })),
  );
  return { pictures: inTurn(classes), classNames };
}

/** Width, height and channels of the model's input. @throws DataError when nothing tells the size. */
function wantedSize(folder: string, spec: InputSpec, options: ImageOptions): [number, number, number] {
  const layout = layoutOf(spec, options.layout);
  const [a, b, c] = spec.shape?.slice(1) ?? [null, null, null];
  const [channels, height, width] = layout === "nchw" ? [a, b, c] : [c, a, b];
  const [w, h] = options.size ?? [width ?? null, height ?? null];
  if (spec.shape !== null && spec.shape.length !== 4)
    throw new DataError(
      folder,
      { input: spec.name, shape: spec.shape },
      "images are for models whose input has four axes",
    );
  if (!w || !h)
    throw new DataError(folder, { input: spec.name }, "the model leaves the image size open", "Give the size (--size)");
  const count = channels ?? 3;
  if (count !== 1 && count !== 3)
    throw new DataError(folder, { input: spec.name, channels: count }, "images give one channel (gray) or three");
  return [w, h, count];
}

type SharpModule = (input: string | Uint8Array, options?: object) => Sharp;
const fits = { crop: "cover", pad: "contain", stretch: "fill" } as const;

interface Raw {
  readonly data: Uint8Array;
  readonly info: { readonly width: number; readonly height: number; readonly channels: 1 | 2 | 3 | 4 };
}

function pixelsOf(image: Sharp): Promise<Raw> {
  return image.raw().toBuffer({ resolveWithObject: true });
}

/** The middle of a picture whose shorter side was brought to `side`. */
async function middle(
  sharp: SharpModule,
  image: Sharp,
  side: number,
  [width, height, channels]: readonly [number, number, number],
  kernel: NonNullable<ImageOptions["kernel"]>,
): Promise<Raw> {
  const { data, info } = await pixelsOf(image.resize({ width: side, height: side, fit: "outside", kernel }));
  const [left, top] = [Math.floor((info.width - width) / 2), Math.floor((info.height - height) / 2)];
  const cut = sharp(data, { raw: info }).extract({ left, top, width, height });
  return pixelsOf(channels === 1 ? cut.toColourspace("b-w") : cut);
}

async function decode(
  sharp: SharpModule,
  file: string,
  size: readonly [width: number, height: number, channels: number],
  options: ImageOptions,
): Promise<Uint8Array> {
  const { kernel = "linear", resize = "crop", shorterSide } = options;
  const [width, height, channels] = size;
  try {
    const upright = sharp(file, { failOn: "error" }).rotate().flatten({ background: "black" });
    const image = channels === 1 ? upright.greyscale().toColourspace("b-w") : upright.toColourspace("srgb");
    const { data, info } = await (resize === "crop" && shorterSide !== undefined
      ? middle(sharp, image, shorterSide, size, kernel)
      : pixelsOf(image.resize({ width, height, fit: fits[resize], kernel, background: "black" })));
    if (info.channels === channels) return data;
    throw new DataError(file, { channels: info.channels, expected: channels }, "the image has other channels");
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(file, { reason: (cause as Error).message }, "the image cannot be decoded");
  }
}

/**
 * The pictures of a folder as samples.
 * @throws DataError when there are none, for pictures that cannot be decoded, and for models that take no images;
 * DependencyError when sharp is not installed.
 */
export async function imageFolderSource(
  folder: string,
  inputs: readonly InputSpec[],
  options: ImageOptions = {},
): Promise<DataSource> {
  const [spec] = inputs;
  if (!spec || inputs.length !== 1)
    throw new DataError(folder, { inputs: inputs.map(({ name }) => name) }, "images serve models with one input");
  const { pictures, classNames } = list(folder, options.labels);
  const size = wantedSize(folder, spec, options);
  const { default: sharp } = await importPeer<{ default: SharpModule }>("sharp", "reading images");
  const [width, height, channels] = size;
  const hasLabels = pictures.length > 0 && pictures[0]!.label !== null;
  return {
    name: folder,
    samples: pictures.length,
    hasLabels,
    classNames,
    sampleName: (index) => pictures[index]?.file ?? String(index),
    async *batches({ batchSize, from = 0, limit = Infinity }: BatchOptions): AsyncGenerator<DataBatch> {
      const end = Math.min(pictures.length, limit);
      for (let at = from; at < end; at += batchSize) {
        const part = pictures.slice(at, Math.min(at + batchSize, end));
        const pixels = new Uint8Array(part.length * width * height * channels);
        const decoded = await Promise.all(part.map(({ file }) => decode(sharp, file, size, options)));
        decoded.forEach((data, i) => pixels.set(data, i * width * height * channels));
        const rows = new Tensor("uint8", [part.length, height, width, channels], pixels);
        const labels = hasLabels ? part.map(({ label }) => label!) : null;
        yield { inputs: [preprocess(rows, spec, { ...options, dataLayout: "nhwc" })], labels, samples: part.length };
      }
    },
  };
}
