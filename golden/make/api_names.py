"""Lists the public names of PyTorch's quantization modules, for docs/api-coverage.md.

torchao's names are listed by hand below: its PT2E and quantize_ parts are covered, not the whole library.
"""
import importlib
import inspect
import json

from common import OUT_DIR, torch

MODULES = [
    "torch.ao.quantization",
    "torch.ao.quantization.qconfig",
    "torch.ao.quantization.observer",
    "torch.ao.quantization.fake_quantize",
    "torch.ao.quantization.quantize_fx",
    "torch.ao.quantization.backend_config",
    "torch.ao.quantization.fx.custom_config",
    "torch.ao.quantization._equalize",
    "torch.ao.quantization._correct_bias",
    "torch.ao.nn.intrinsic",
    "torch.ao.nn.intrinsic.qat",
    "torch.ao.nn.intrinsic.quantized",
    "torch.ao.nn.intrinsic.quantized.dynamic",
    "torch.ao.nn.qat",
    "torch.ao.nn.qat.dynamic",
    "torch.ao.nn.quantizable",
    "torch.ao.nn.quantized",
    "torch.ao.nn.quantized.dynamic",
    "torch.ao.nn.quantized.functional",
    "torch.ao.nn.quantized.reference",
    "torch.ao.ns._numeric_suite",
    "torch.ao.ns._numeric_suite_fx",
]
EXTRA = {
    "torch": [
        "quantize_per_tensor", "quantize_per_channel", "quantize_per_tensor_dynamic", "dequantize", "fake_quantize_per_tensor_affine",
        "fake_quantize_per_channel_affine", "fused_moving_avg_obs_fake_quant",
    ],
    "torch.ao.ns.fx.utils": ["compute_sqnr", "compute_normalized_l2_error", "compute_cosine_similarity"],
    "torch.ao.ns.fx.qconfig_multi_mapping": ["QConfigMultiMapping"],
    "torchao.quantization.pt2e": [
        "prepare_pt2e", "prepare_qat_pt2e", "convert_pt2e", "move_exported_model_to_eval", "move_exported_model_to_train",
        "allow_exported_model_train_eval", "find_sequential_partitions", "prepare_for_propagation_comparison", "extract_results_from_loggers",
        "compare_results", "generate_numeric_debug_handle", "enable_range_learning", "disable_range_learning",
    ],
    "torchao.quantization.pt2e.quantizer": [
        "Quantizer", "ComposableQuantizer", "EmbeddingQuantizer", "X86InductorQuantizer", "XNNPACKQuantizer", "QuantizationSpec",
        "FixedQParamsQuantizationSpec", "SharedQuantizationSpec", "DerivedQuantizationSpec", "QuantizationAnnotation", "QuantizationConfig",
        "DuplicateDQPass", "PortNodeMetaForQDQ", "annotate_input_qspec_map", "annotate_output_qspec", "get_module_name_filter",
        "get_input_act_qspec", "get_output_act_qspec", "get_weight_qspec", "get_bias_qspec",
    ],
    "torchao.quantization": [
        "quantize_", "register_quantize_module_handler", "Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig",
        "Int8StaticActivationInt8WeightConfig", "Int8DynamicActivationIntxWeightConfig", "IntxWeightOnlyConfig", "Int4WeightOnlyConfig",
        "Float8WeightOnlyConfig", "Float8DynamicActivationFloat8WeightConfig", "Float8StaticActivationFloat8WeightConfig",
        "Float8DynamicActivationInt4WeightConfig", "FqnToConfig", "MappingType", "ZeroPointDomain", "PerTensor", "PerAxis", "PerGroup", "PerRow",
        "PerToken", "PerBlock", "choose_qparams_affine", "quantize_affine", "dequantize_affine", "swap_conv2d_1x1_to_linear", "compute_error",
    ],
    "torchao.quantization.qat": [
        "QATConfig", "IntxFakeQuantizeConfig", "IntxFakeQuantizer", "FakeQuantizedLinear", "FakeQuantizedEmbedding", "initialize_fake_quantizers",
        "Int4WeightFakeQuantizeConfig", "Float8FakeQuantizeConfig", "Int8DynActInt4WeightQATQuantizer", "Int4WeightOnlyQATQuantizer",
        "Int4WeightOnlyEmbeddingQATQuantizer", "Float8ActInt4WeightQATQuantizer", "ComposableQATQuantizer",
    ],
}


def public_names(path):
    module = importlib.import_module(path)
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [n for n, v in vars(module).items() if (getattr(v, "__module__", None) or "").startswith(path)]
    values = vars(module)
    return sorted({n for n in listed if not n.startswith("_") and not inspect.ismodule(values.get(n))})


def main():
    names = {path: public_names(path) for path in MODULES}
    for path, extra in EXTRA.items():
        names[path] = sorted(extra)
    file = OUT_DIR / "api-names.json"
    header = {"script": "golden/make/api_names.py", "torch": torch.__version__.split("+")[0], "torchao": "0.19.0"}
    lines = ",\n".join(f"  {json.dumps(path)}: {json.dumps(found)}" for path, found in names.items())
    file.write_text(f'{{"header": {json.dumps(header)}, "modules": {{\n{lines}\n}}}}\n')
    print(f"{file.name}: {sum(map(len, names.values()))} names")


if __name__ == "__main__":
    main()
