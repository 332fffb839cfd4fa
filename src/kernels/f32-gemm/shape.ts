/** A convolution as kernels and references see it: always three spatial axes, PyTorch's names. */

/** Depth, height, width. */
export type Triple = readonly [number, number, number];

/** A ConvShape with three spatial axes, its output size, and element counts. */
export interface Conv3d {
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly groups: number;
  readonly size: Triple;
  readonly outSize: Triple;
  readonly kernel: Triple;
  readonly stride: Triple;
  readonly padding: Triple;
  readonly dilation: Triple;
  /** Points of the kernel. */
  readonly points: number;
  /** Pixels of one input and one output image. */
  readonly inPixels: number;
  readonly outPixels: number;
}
