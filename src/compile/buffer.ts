/**
 * A value in one form, and where it lives: what steps read and write.
 */

import { EngineError } from "../errors.ts";
import { NO_BORDER } from "../kernels/qconv/image.ts";
import type { Image } from "../kernels/qconv/image.ts";
import type { Tensor, TensorType } from "../tensor/tensor.ts";
import type { Lifetime } from "./arena.ts";
import { elementOf, formBytes } from "./form.ts";
import type { Element, Form } from "./form.ts";

/**
 * Where a value lives that outlasts a run: at an address in the engine's memory, or as a tensor that steps read anew each
 * time. A tensor under "constant" is copied into the plan's constants once.
 */
export type Home =
  | { readonly kind: "memory"; readonly address: number }
  | { readonly kind: "host"; readonly tensor: Tensor }
  | { readonly kind: "constant"; readonly tensor: Tensor };

/** A value in one form: somewhere in the arena, unless it has a home. */
export class Buffer implements Lifetime {
  readonly form: Form;
  readonly type: TensorType;
  readonly element: Element;
  readonly bytes: number;
  /** What the border holds, as stored. */
  readonly borderValue: number;
  /** The buffer whose bytes this one really is (a reshape). */
  readonly alias: Buffer | null;
  readonly home: Home | null;
  first = Infinity;
  last = -1;

  constructor(
    form: Form,
    type: TensorType,
    borderValue: number,
    alias: Buffer | null,
    element = alias ? alias.element : elementOf(type.dtype),
    home: Home | null = null,
  ) {
    this.form = form;
    this.type = type;
    this.element = element;
    this.home = home;
    this.bytes = formBytes(form, this.element);
    this.borderValue = borderValue;
    this.alias = alias;
  }

  get group(): string {
    const { form } = this;
    if (form.kind === "flat" || form.image.border === NO_BORDER) return "";
    return JSON.stringify([form.image, this.element, this.borderValue]);
  }

  get root(): Buffer {
    return this.alias ? this.alias.root : this;
  }

  /** The image of an image buffer. @throws EngineError */
  get image(): Image {
    if (this.form.kind === "image") return this.form.image;
    throw new EngineError("compile", { shape: this.type.shape }, "a value that is not an image was read as one");
  }
}
