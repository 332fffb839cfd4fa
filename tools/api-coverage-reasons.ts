/** Names that are spelled otherwise here, and names that will not exist, with the reason. */

export const renamed: Readonly<Record<string, string>> = {
  quantize_: "quantizeModel",
};

export const never: Readonly<Record<string, string>> = {};
