# The models whose quantized programs are recorded: small, but each holding one structure that decides where
# quantize/dequantize nodes go (fusion, sharing, fixed qparams, scalar operands, shared modules, ...).  The
# TypeScript twins in test/golden/programs/models.ts carry the same ids and parameter names.
import programs_models_layers as layers
import programs_models_operations as operations
import programs_models_structures as structures
from programs_models_structures import Branch, Gate, Scale

__all__ = ["MODELS", "Branch", "Gate", "Scale"]



def f(*shape):
    return ("float", shape)


def i(high, *shape):
    return ("int", shape, high)


def bag_offsets(*values):
    return ("offsets", values)


# Averages run over an odd number of values, so that they never stand on a rounding tie.
# id -> (class, one entry per positional input)
MODELS = {
    "linear": (layers.Linear1, [f(4, 6)]),
    "mlp": (layers.Mlp, [f(5, 8)]),
    "linear-no-bias": (layers.LinearNoBias, [f(4, 8)]),
    "conv": (layers.Conv1, [f(2, 3, 6, 6)]),
    "conv-relu": (layers.ConvRelu, [f(2, 3, 7, 7)]),
    "conv-bn": (layers.ConvBn, [f(2, 3, 6, 6)]),
    "conv-bn-relu": (layers.ConvBnRelu, [f(2, 3, 6, 6)]),
    "small-cnn": (structures.SmallCnn, [f(2, 3, 6, 6)]),
    "res-block": (structures.ResBlock, [f(2, 4, 6, 6)]),
    "skip-add": (operations.SkipAdd, [f(2, 3, 4, 4)]),
    "add-self": (operations.AddSelf, [f(2, 3, 4, 4)]),
    "cat": (operations.CatNet, [f(2, 3, 4, 4)]),
    "cat-input": (operations.CatInput, [f(2, 3, 5, 5)]),
    "cat-twice": (operations.CatTwice, [f(2, 3, 4, 4)]),
    "stack": (operations.StackNet, [f(3, 4)]),
    "shared-linear": (structures.SharedLinear, [f(4, 5)]),
    "shared-conv-branches": (structures.SharedConvBranches, [f(1, 3, 5, 5), f(1, 3, 5, 5)]),
    "functional-linear": (layers.FunctionalLinear, [f(4, 6)]),
    "functional-conv": (layers.FunctionalConv, [f(2, 3, 6, 6)]),
    "scalar-ops": (operations.ScalarOps, [f(2, 3, 4, 4)]),
    "scalar-mul-relu": (operations.ScalarMulRelu, [f(3, 4)]),
    "mul": (operations.MulNet, [f(2, 3, 4, 4)]),
    "matmul": (operations.MatmulNet, [f(2, 4, 6)]),
    "fixed-modules": (operations.FixedModules, [f(4, 5)]),
    "fixed-functions": (operations.FixedFunctions, [f(2, 3, 4, 4)]),
    "activation-modules": (operations.ActivationModules, [f(2, 3, 4, 4)]),
    "prelu-linear": (operations.PReluLinear, [f(4, 5)]),
    "activation-functions": (operations.ActivationFunctions, [f(2, 3, 4, 4)]),
    "pools": (operations.PoolsNet, [f(1, 3, 8, 8)]),
    "pool-functions": (operations.PoolFunctions, [f(1, 3, 10, 10)]),
    "shapes": (operations.ShapesNet, [f(1, 3, 4, 4)]),
    "reshape-size": (operations.ReshapeSize, [f(2, 3, 6, 6)]),
    "mean": (operations.MeanNet, [f(2, 3, 5, 5)]),
    "interpolate": (operations.InterpolateNet, [f(1, 3, 4, 4)]),
    "pixel-shuffle": (operations.PixelShuffleNet, [f(1, 3, 4, 4)]),
    "dropout": (layers.DropoutNet, [f(4, 6)]),
    "conv-transpose": (layers.ConvTransposeNet, [f(1, 3, 6, 6)]),
    "conv-transpose-bn": (layers.ConvTransposeBn, [f(2, 3, 4, 4)]),
    "conv1d": (layers.Conv1dNet, [f(2, 3, 9)]),
    "conv3d": (layers.Conv3dNet, [f(1, 2, 4, 4, 4)]),
    "depthwise": (structures.Depthwise, [f(1, 4, 6, 6)]),
    "linear-bn": (layers.LinearBn, [f(6, 6)]),
    "bn-after-pool": (layers.BnAfterPool, [f(2, 3, 6, 6)]),
    "layer-norm": (layers.LayerNormNet, [f(4, 6)]),
    "norms": (layers.NormsNet, [f(2, 3, 4, 4)]),
    "embedding": (layers.EmbeddingNet, [i(12, 2, 4)]),
    "embedding-bag": (layers.EmbeddingBagNet, [i(12, 7), bag_offsets(0, 3, 5, 7)]),
    "lstm": (layers.LstmNet, [f(4, 2, 6)]),
    "gru": (layers.GruNet, [f(4, 2, 6)]),
    "cells": (layers.CellsNet, [f(3, 4)]),
    "two-in-two-out": (structures.TwoInTwoOut, [f(3, 5), f(3, 3)]),
    "dict-out": (structures.DictOut, [f(1, 3, 4, 4)]),
    "wide-mlp": (structures.WideMlp, [f(4, 64)]),
    "nested": (structures.Nested, [f(3, 2, 4)]),
    "non-traceable": (structures.NonTraceableNet, [f(3, 4)]),
    "custom-module": (structures.CustomNet, [f(3, 4)]),
    "standalone": (structures.StandaloneNet, [f(3, 4)]),
    "squeeze-excite": (structures.SqueezeExcite, [f(1, 3, 5, 5)]),
    "attention": (structures.Attention, [f(2, 4, 8)]),
    "unet-mini": (structures.UnetMini, [f(1, 3, 6, 6)]),
    "float-island": (operations.FloatIsland, [f(3, 5)]),
    "branch-reuse": (structures.BranchReuse, [f(1, 3, 4, 4)]),
    "add-parameter": (operations.AddParameter, [f(3, 5)]),
    "inplace-relu": (structures.InplaceRelu, [f(1, 3, 4, 4)]),
    "sequential": (structures.Sequential3, [f(4, 6)]),
    "mixed-ops": (operations.MixedOps, [f(1, 3, 5, 5)]),
}
