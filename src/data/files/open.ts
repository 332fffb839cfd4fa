/** The right kind of source for a path: arrays, a folder of images or of .npy files, or a module. */

import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { DataError } from "../../errors.ts";
import { checkedSource } from "../source.ts";
import type { DataSource, InputSpec } from "../source.ts";
import { arrayExtensions } from "./array-file.ts";
import { arraySource, npyFiles, npyFolderSource } from "./array-source.ts";
import type { ArrayOptions } from "./array-source.ts";
import { holdsImages, imageExtensions, imageFolderSource } from "./image-folder.ts";
import type { ImageOptions } from "./image-folder.ts";
import { moduleExtensions, moduleSource } from "./module-source.ts";

export type DataOptions = ArrayOptions & ImageOptions;

async function open(file: string, inputs: readonly InputSpec[], options: DataOptions): Promise<DataSource> {
  if (!existsSync(file)) throw new DataError(file, {}, "there is no such file or folder");
  if (statSync(file).isDirectory()) {
    if (holdsImages(file)) return imageFolderSource(file, inputs, options);
    if (npyFiles(file).length > 0) return npyFolderSource(file, inputs, options);
    throw new DataError(
      file,
      { images: imageExtensions, arrays: [".npy"] },
      "there is no data: the folder holds no images, no folders of images and no arrays",
    );
  }
  const extension = path.extname(file).toLowerCase();
  if (arrayExtensions.includes(extension)) return arraySource(file, inputs, options);
  if (moduleExtensions.includes(extension)) return moduleSource(file, inputs, options);
  throw new DataError(
    file,
    { extension, known: [...arrayExtensions, ...moduleExtensions] },
    "data is a file of arrays, a module, or a folder of images",
  );
}

/**
 * Samples for a model's inputs from a file or folder. Batches are checked as they are read (checkedSource).
 * @throws DataError when there is no such data or it cannot belong to the model; FileFormatError for broken files;
 * DependencyError when images are to be read without sharp.
 */
export async function openData(
  file: string,
  inputs: readonly InputSpec[],
  options: DataOptions = {},
): Promise<DataSource> {
  return checkedSource(await open(file, inputs, options), inputs);
}
