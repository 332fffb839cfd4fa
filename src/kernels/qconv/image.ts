/**
 * Where the bytes of a batch of images lie: NHWC with a border around every image, so that a convolution
 * reads its padding as ordinary bytes and needs neither im2col nor bounds checks. Whoever fills the
 * image also fills the border, with the zero point.
 */

export interface Border {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

export const NO_BORDER: Border = { top: 0, left: 0, bottom: 0, right: 0 };

/** n images of h x w pixels of c channels; a consumer may use only some of the channels. */
export interface Image {
  readonly n: number;
  readonly h: number;
  readonly w: number;
  readonly c: number;
  readonly border: Border;
}

/** Elements from a row to the next. */
export function rowStride({ w, c, border }: Image): number {
  return (border.left + w + border.right) * c;
}

/** Elements from an image to the next. */
export function imageStride(image: Image): number {
  return (image.border.top + image.h + image.border.bottom) * rowStride(image);
}

/** Elements of all images with their borders. */
export function imageSize(image: Image): number {
  return image.n * imageStride(image);
}

/** Element offset of channel 0 of a pixel; y and x may point into the border. */
export function pixelOffset(image: Image, n: number, y: number, x: number): number {
  return n * imageStride(image) + (image.border.top + y) * rowStride(image) + (image.border.left + x) * image.c;
}

/** The smallest border that contains both. */
export function widerBorder(a: Border, b: Border): Border {
  return {
    top: Math.max(a.top, b.top),
    left: Math.max(a.left, b.left),
    bottom: Math.max(a.bottom, b.bottom),
    right: Math.max(a.right, b.right),
  };
}

/** Whether `border` contains `needed`. */
export function covers(border: Border, needed: Border): boolean {
  return (
    border.top >= needed.top &&
    border.left >= needed.left &&
    border.bottom >= needed.bottom &&
    border.right >= needed.right
  );
}
