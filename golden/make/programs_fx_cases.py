"""The FX cases: model x engine x qconfig mapping x custom configs, as data."""

MINMAX_Q = {
    "activation": {"class": "MinMaxObserver", "dtype": "quint8", "qscheme": "per_tensor_affine"},
    "weight": {"class": "MinMaxObserver", "dtype": "qint8", "qscheme": "per_tensor_symmetric"},
}
PER_CHANNEL_Q = {
    "activation": {"class": "MovingAverageMinMaxObserver", "dtype": "quint8", "averagingConstant": 0.1},
    "weight": {"class": "PerChannelMinMaxObserver", "dtype": "qint8", "qscheme": "per_channel_symmetric"},
}
REDUCED_Q = {
    "activation": {"class": "MinMaxObserver", "dtype": "quint8", "reduceRange": True},
    "weight": {"class": "PerChannelMinMaxObserver", "dtype": "qint8", "qscheme": "per_channel_symmetric"},
}
SYMMETRIC_Q = {
    "activation": {"class": "MinMaxObserver", "dtype": "quint8", "qscheme": "per_tensor_symmetric"},
    "weight": {"class": "MinMaxObserver", "dtype": "qint8", "qscheme": "per_tensor_symmetric"},
}


def case(name, model, mapping, engine="fbgemm", **options):
    return {"name": name, "mode": "fx", "model": model, "engine": engine, "mapping": mapping, **options}


# One case per model with the default mapping of the fbgemm engine, whose kernels define the integers.
DEFAULT_MODELS = [
    "linear", "mlp", "linear-no-bias", "conv", "conv-relu", "conv-bn", "conv-bn-relu", "small-cnn", "res-block",
    "skip-add", "add-self", "cat", "cat-input", "cat-twice", "stack", "shared-linear", "shared-conv-branches",
    "functional-linear", "functional-conv", "scalar-ops", "scalar-mul-relu", "mul", "matmul", "fixed-modules",
    "fixed-functions", "activation-modules", "prelu-linear", "activation-functions", "pools", "pool-functions", "shapes", "reshape-size",
    "mean", "interpolate", "pixel-shuffle", "dropout", "conv-transpose", "conv-transpose-bn", "conv1d", "conv3d",
    "depthwise", "linear-bn", "bn-after-pool", "layer-norm", "norms", "two-in-two-out", "dict-out", "nested",
    "squeeze-excite", "attention", "unet-mini", "float-island", "branch-reuse", "add-parameter", "inplace-relu",
    "sequential", "mixed-ops",
]

# torch 2.13's quantized.prelu scales positive values too: the reference program's integers are the right ones.
TRUSTED = {"activation-modules": {"integersOf": "reference"}, "prelu-linear": {"integersOf": "reference"}}

DEFAULTS = [case(f"default-fbgemm-{m}", m, {"default": "fbgemm"}, **TRUSTED.get(m, {})) for m in DEFAULT_MODELS]

ENGINES = [
    case(f"default-{engine}-{m}", m, {"default": engine}, engine, backendConfig=backend)
    for engine, backend in (("x86", "x86"), ("qnnpack", "qnnpack"), ("onednn", "onednn"))
    for m in ("small-cnn", "res-block", "mlp", "functional-linear", "squeeze-excite")
]

DYNAMIC = [
    case("dynamic-mlp", "mlp", {"global": "default_dynamic_qconfig"}),
    case("dynamic-per-channel-mlp", "mlp", {"global": "per_channel_dynamic_qconfig"}),
    case("dynamic-qnnpack-mlp", "mlp", {"global": "default_dynamic_qconfig"}, "qnnpack"),
    case("dynamic-float16-mlp", "mlp", {"global": "float16_dynamic_qconfig"}),
    case("dynamic-functional-linear", "functional-linear", {"global": "default_dynamic_qconfig"}),
    case("dynamic-small-cnn", "small-cnn", {"objectType": [["nn.Linear", "default_dynamic_qconfig"]]}),
    case("dynamic-lstm", "lstm", {"objectType": [["nn.LSTM", "default_dynamic_qconfig"], ["nn.Linear", "default_dynamic_qconfig"]]}),
    case("dynamic-gru", "gru", {"objectType": [["nn.GRU", "default_dynamic_qconfig"]]}),
    case("dynamic-float16-lstm", "lstm", {"objectType": [["nn.LSTM", "float16_dynamic_qconfig"]]}),
    case("dynamic-cells", "cells", {"global": "default_dynamic_qconfig"}),
    case("weight-only-embedding", "embedding", {"objectType": [["nn.Embedding", "float_qparams_weight_only_qconfig"]]}),
    case("weight-only-embedding-static-linear", "embedding", {"default": "fbgemm", "objectType": [["nn.Embedding", "float_qparams_weight_only_qconfig"]]}),
    case("weight-only-4bit-embedding", "embedding", {"objectType": [["nn.Embedding", "float_qparams_weight_only_qconfig_4bit"]]}),
    case("weight-only-embedding-bag", "embedding-bag", {"objectType": [["nn.EmbeddingBag", "float_qparams_weight_only_qconfig"]]}),
    case("weight-only-4bit-embedding-bag", "embedding-bag", {"objectType": [["nn.EmbeddingBag", "float_qparams_weight_only_qconfig_4bit"]]}),
]

MAPPINGS = [
    case("minmax-small-cnn", "small-cnn", {"global": MINMAX_Q}),
    case("minmax-res-block", "res-block", {"global": MINMAX_Q}),
    case("minmax-depthwise", "depthwise", {"global": MINMAX_Q}),
    case("per-channel-small-cnn", "small-cnn", {"global": PER_CHANNEL_Q}),
    case("per-channel-functional-conv", "functional-conv", {"global": PER_CHANNEL_Q}),
    case("reduced-range-mlp", "mlp", {"global": REDUCED_Q}),
    case("symmetric-activation-mlp", "mlp", {"global": SYMMETRIC_Q}),
    case("qnnpack-symmetric-small-cnn", "small-cnn", {"global": "default_symmetric_qnnpack_qconfig"}, "qnnpack", backendConfig="qnnpack", loweredRuns=False),
    case("level-object-type", "small-cnn", {"global": MINMAX_Q, "objectType": [["nn.Linear", PER_CHANNEL_Q]]}),
    case("level-object-type-fused", "nested", {"global": MINMAX_Q, "objectType": [["nn.Linear", PER_CHANNEL_Q], ["F.relu", PER_CHANNEL_Q], ["nn.ReLU", PER_CHANNEL_Q]]}),
    case("error-fused-types-differ", "nested", {"global": MINMAX_Q, "objectType": [["nn.Linear", PER_CHANNEL_Q]]}, throws=True),
    case("level-object-type-null", "nested", {"global": MINMAX_Q, "objectType": [["nn.Conv1d", None]]}),
    case("level-object-type-function", "res-block", {"global": MINMAX_Q, "objectType": [["operator.add", None], ["F.relu", None]]}),
    case("level-regex", "nested", {"global": MINMAX_Q, "moduleNameRegex": [["left.*", PER_CHANNEL_Q], [".*fc1", None]]}),
    case("level-regex-first-wins", "nested", {"global": None, "moduleNameRegex": [[".*fc2", REDUCED_Q], ["right.*", PER_CHANNEL_Q]]}),
    case("level-module-name", "nested", {"global": MINMAX_Q, "moduleName": [["left", None], ["left.fc2", PER_CHANNEL_Q]]}),
    case("level-module-name-order", "nested", {"global": MINMAX_Q, "moduleNameObjectTypeOrder": [["left", "F.relu", 0, None], ["", "operator.add", 0, REDUCED_Q]]}),
    case("level-order-functional", "functional-linear", {"global": MINMAX_Q, "moduleNameObjectTypeOrder": [["", "F.linear", 1, None]]}),
    case("level-all-five", "nested", {
        "global": MINMAX_Q,
        "objectType": [["nn.Linear", PER_CHANNEL_Q], ["F.relu", PER_CHANNEL_Q], ["nn.ReLU", PER_CHANNEL_Q]],
        "moduleNameRegex": [["left.*", REDUCED_Q]],
        "moduleName": [["left.fc1", SYMMETRIC_Q], ["out", None]],
        "moduleNameObjectTypeOrder": [["", "operator.add", 0, None]],
    }),
    case("skip-one-conv", "small-cnn", {"default": "fbgemm", "moduleName": [["conv2", None], ["bn2", None], ["relu2", None]]}),
    case("skip-all", "mlp", {"global": None}),
    case("only-convs", "small-cnn", {"objectType": [["nn.Conv2d", MINMAX_Q], ["nn.BatchNorm2d", MINMAX_Q], ["nn.ReLU", MINMAX_Q]]}),
    case("only-linear", "small-cnn", {"objectType": [["nn.Linear", MINMAX_Q]]}),
    case("only-add", "res-block", {"objectType": [["operator.add", MINMAX_Q], ["F.relu", MINMAX_Q]]}),
    case("mixed-static-dynamic", "sequential", {"global": MINMAX_Q, "moduleName": [["net.4", "default_dynamic_qconfig"]]}),
    case("convert-mapping-null", "nested", {"global": MINMAX_Q, "moduleName": [["out", MINMAX_Q]]},
         convertMapping={"global": MINMAX_Q, "moduleName": [["out", None]]}),
]

IN_Q = {"scale": 0.04, "zeroPoint": 120}
CUSTOM = [
    case("input-quantized", "conv-relu", {"default": "fbgemm"}, prepareCustom={"inputQuantizedIndexes": [0]}, testInputQParams=[IN_Q]),
    case("output-quantized", "conv-relu", {"default": "fbgemm"}, prepareCustom={"outputQuantizedIndexes": [0]}),
    case("input-output-quantized", "small-cnn", {"default": "fbgemm"},
         prepareCustom={"inputQuantizedIndexes": [0], "outputQuantizedIndexes": [0]}, testInputQParams=[IN_Q]),
    case("second-input-quantized", "two-in-two-out", {"default": "fbgemm"}, prepareCustom={"inputQuantizedIndexes": [1]}, testInputQParams=[None, IN_Q]),
    case("non-traceable-name", "non-traceable", {"default": "fbgemm"}, prepareCustom={"nonTraceableModuleNames": ["gate"]}),
    case("non-traceable-class", "non-traceable", {"default": "fbgemm"}, prepareCustom={"nonTraceableModuleClasses": ["Gate"]}),
    case("standalone-name", "standalone", {"default": "fbgemm"}, prepareCustom={"standaloneModuleNames": [["child", {"default": "fbgemm"}]]}),
    case("standalone-class", "standalone", {"default": "fbgemm"}, prepareCustom={"standaloneModuleClasses": [["Branch", {"global": MINMAX_Q}]]}),
    case("preserved-attributes", "mlp", {"default": "fbgemm"}, prepareCustom={"preservedAttributes": ["labels"]},
         convertPreservedAttributes=["labels"], attributes={"labels": ["cat", "dog"]}),
]

CUSTOM += [case("custom-module", "custom-module", {"default": "fbgemm"}, prepareCustom={"customScale": True})]

EQUALIZATION = [case(f"equalization-{m}", m, {"global": MINMAX_Q}, equalization=True)
                for m in ("linear", "mlp", "sequential", "conv")]

CASES = DEFAULTS + ENGINES + DYNAMIC + MAPPINGS + CUSTOM + EQUALIZATION
