"""Makes golden/programs: quantized programs of small models by FX, PT2E and quantization-aware training.

usage: python programs.py [models] [fx] [pt2e] [qat] [quantize] [backend-configs] [--only SUBSTRING]
PT2E lives in torchao 0.19, which must be importable (PYTHONPATH).
"""
import pathlib
import sys
import traceback

import torch

from common import OUT_DIR


def run_all(kind, cases, make, only):
    failed = []
    for case in cases:
        if only and only not in case["name"]:
            continue
        try:
            make(case)
        except Exception as error:
            failed.append((case["name"], error))
            traceback.print_exc(limit=-4)
    print(f"{kind}: {len(cases)} cases, {len(failed)} failed", [name for name, _ in failed], flush=True)
    return failed


def main(arguments):
    only = arguments[arguments.index("--only") + 1] if "--only" in arguments else None
    wanted = [a for a in arguments if not a.startswith("--") and a != only] or ["models", "fx", "pt2e", "qat", "quantize", "backend-configs"]
    failed = []
    torch.set_num_threads(1)
    if "models" in wanted:
        from programs_data import write_model
        from programs_models import MODELS
        for model_id in MODELS:
            write_model(model_id)
    if "fx" in wanted:
        import programs_fx
        from programs_fx_cases import CASES
        failed += run_all("fx", CASES, programs_fx.make_case, only)
    if "pt2e" in wanted:
        import programs_pt2e
        from programs_pt2e_cases import CASES
        failed += run_all("pt2e", CASES, programs_pt2e.make_case, only)
    if "qat" in wanted:
        import programs_qat
        failed += run_all("qat", programs_qat.CASES, programs_qat.make_case, only)
    if "quantize" in wanted:
        import programs_quantize
        failed += run_all("quantize", programs_quantize.CASES, programs_quantize.make_case, only)
    if "backend-configs" in wanted:
        import programs_backend_configs
        programs_backend_configs.write()
    size = sum(p.stat().st_size for p in pathlib.Path(OUT_DIR / "programs").rglob("*.json"))
    print(f"golden/programs: {size / 1e6:.2f} MB")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
