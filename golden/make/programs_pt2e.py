"""Makes the PT2E cases: export, prepare with a quantizer, calibrate, convert."""
import torch
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from common import SEED
from programs_data import PROGRAMS, batches, dump, make_model
from programs_quantizers import make_quantizer
from programs_record import describe_program


def header():
    return {"script": "golden/make/programs.py", "torch": torch.__version__.split("+")[0], "torchao": "0.19.0", "seed": SEED}


def export(case, model, example):
    strict = case.get("export", "strict") == "strict"
    return torch.export.export(model, example, strict=strict).module(check_guards=False)


def prepare_case(case, model, example):
    return prepare_pt2e(export(case, model, example), make_quantizer(case["quantizer"]))


def convert_case(case, prepared):
    return convert_pt2e(prepared, use_reference_representation=case.get("useReferenceRepresentation", False),
                        fold_quantize=case.get("foldQuantize", True))


def make_case(case):
    if case.get("throws"):
        return make_refused(case)
    model = make_model(case["model"])
    known = set(model.state_dict())
    calibration, test = batches(case["model"])
    exported = export(case, model, calibration[0])
    body = {"exported": describe_program(exported, test, known)}
    prepared = prepare_pt2e(exported, make_quantizer(case["quantizer"]))
    with torch.no_grad():
        for batch in calibration:
            prepared(*batch)
    body["prepared"] = describe_program(prepared, test, run_copy=True, known=known)
    body["converted"] = describe_program(convert_case(case, prepared), test, known=())
    dump(PROGRAMS / "pt2e" / f"{case['name']}.json", header(), {"case": case, **body})
    return body


def make_refused(case):
    calibration, _ = batches(case["model"])
    try:
        convert_case(case, prepare_case(case, make_model(case["model"]), calibration[0]))
    except Exception as error:
        body = {"throws": type(error).__name__, "message": str(error).split("\n")[0][:200]}
        dump(PROGRAMS / "pt2e" / f"{case['name']}.json", header(), {"case": case, **body})
        return body
    raise AssertionError(f"{case['name']}: torchao accepted what was meant to be refused")
