/** Names that are spelled otherwise here, and names that will not exist, with the reason. */

export const renamed: Readonly<Record<string, string>> = {
  quantize_: "quantizeModel",
  X86InductorQuantizer: "X86Quantizer",
  XNNPACKQuantizer: "XnnpackQuantizer",
};

const TORCHSCRIPT = "TorchScript, which does not exist here: quantize the module, or its graph";
const SPARSE = "sparse kernels are not part of this library";
const DICTIONARY = "PyTorch's older dictionary form: `getDefaultQConfigMapping().toDict()`";
const INNER = "an inner function of PyTorch's own file, not meant for users";
const LEGACY_QAT = "torchao replaces these two-step classes by `QATConfig`, which is here";
const TORCHAO_OBSERVER = "a base for torchao's block-wise observers, abstract in PyTorch too";

export const never: Readonly<Record<string, string>> = {
  AffineQuantizedObserverBase: TORCHAO_OBSERVER,
  TorchAODType: "a stand-in for dtypes that PyTorch lacks; `IntxDType` names them here",
  get_block_size: "`granularity.blockSize(shape)` of `PerTensor`, `PerAxis`, ...",
  ObserverOrFakeQuantize: "a Python type alias",
  Pattern: "a Python type alias; patterns are `BackendPattern` here",
  QConfigDynamic: "deprecated in PyTorch in favour of `QConfig`",
  QuantType: "an inner enumeration of PyTorch's module swapping",
  convert_dynamic_jit: TORCHSCRIPT,
  convert_jit: TORCHSCRIPT,
  fuse_conv_bn_jit: TORCHSCRIPT,
  prepare_dynamic_jit: TORCHSCRIPT,
  prepare_jit: TORCHSCRIPT,
  quantize_dynamic_jit: TORCHSCRIPT,
  quantize_jit: TORCHSCRIPT,
  script_qconfig: TORCHSCRIPT,
  script_qconfig_dict: TORCHSCRIPT,
  get_combined_dict: "spread syntax: `{ ...defaults, ...own }`",
  get_default_dynamic_sparse_quant_module_mappings: SPARSE,
  get_default_static_sparse_quant_module_mappings: SPARSE,
  get_default_qat_qconfig_dict: DICTIONARY,
  get_default_qconfig_dict: DICTIONARY,
  get_native_backend_config_dict: "PyTorch's older dictionary form: `getNativeBackendConfig()`",
  get_tensorrt_backend_config_dict: "PyTorch's older dictionary form: `getTensorrtBackendConfig()`",
  get_fuser_method_new: "looks methods up by PyTorch's nested pattern tuples; `getFuserMethod`",
  attach_preserved_attrs_to_model: "inner: attributes are in `preserved` of the graph module",
  channel_range: INNER,
  converged: INNER,
  expand_groups_in_paired_modules_list: INNER,
  get_module_bias: INNER,
  get_module_weight: INNER,
  get_name_by_module: INNER,
  has_bias: INNER,
  max_over_ndim: INNER,
  min_over_ndim: INNER,
  process_paired_modules_list_to_name: INNER,
  set_module_bias: INNER,
  set_module_weight: INNER,
  get_module: INNER,
  get_param: INNER,
  parent_child_names: INNER,
  NSTracer: "models are captured by `symbolicTrace`",
  upsample: "deprecated in PyTorch in favour of interpolate: `nnq.functional.interpolate`",
  upsample_bilinear: "deprecated in PyTorch in favour of interpolate: `nnq.functional.interpolate`",
  upsample_nearest: "deprecated in PyTorch in favour of interpolate: `nnq.functional.interpolate`",
  ComposableQATQuantizer: LEGACY_QAT,
  Float8ActInt4WeightQATQuantizer: LEGACY_QAT,
  Int4WeightOnlyEmbeddingQATQuantizer: LEGACY_QAT,
  Int4WeightOnlyQATQuantizer: LEGACY_QAT,
  Int8DynActInt4WeightQATQuantizer: LEGACY_QAT,
};
