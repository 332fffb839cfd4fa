/** Data in files (Node only): arrays, images and modules as samples; files written whole or not at all. */
export { openArrays } from "./array-file.ts";
export type { StoredArray } from "./array-file.ts";
export { arraySource, npyFolderSource } from "./array-source.ts";
export type { ArrayOptions } from "./array-source.ts";
export { imageFolderSource } from "./image-folder.ts";
export type { ImageOptions, ResizeMode } from "./image-folder.ts";
export { moduleSource } from "./module-source.ts";
export { openData } from "./open.ts";
export type { DataOptions } from "./open.ts";
export { checkWritable, writeWhole } from "../../files/write.ts";
