"""N-shadows models: every subgraph beside copies of itself quantized in several ways, and how near each comes."""
import torch
from torch.ao.ns._numeric_suite_fx import (
    convert_n_shadows_model,
    extract_results_n_shadows_model,
    loggers_set_enabled,
    loggers_set_save_activations,
    prepare_n_shadows_model,
)
from torch.ao.ns.fx.qconfig_multi_mapping import QConfigMultiMapping
from torch.ao.quantization import default_per_channel_qconfig, default_qconfig
from torch.ao.quantization.backend_config import get_native_backend_config

from common import Suite, number
from programs_data import batches, make_model

MODELS = ["small-cnn", "mlp", "res-block", "mixed-ops", "nested", "skip-add"]


def mapping(setting):
    made = QConfigMultiMapping()
    if setting == "global":
        return made.set_global([default_qconfig, default_per_channel_qconfig])
    return made.set_global([default_qconfig]).set_object_type(torch.nn.Linear, [default_per_channel_qconfig, None, default_qconfig])


def rows(results):
    out = []
    for name, (entry,) in results["model"]["node_output"].items():
        comparisons = [number(c.item()) for c in entry["comparisons"]]
        out.append({"name": name, "node": entry["ref_node_name"], "fqn": entry["fqn"], "values": len(entry["values"]), "comparisons": comparisons})
    return out


def main():
    suite = Suite("n-shadows", "n_shadows.py", engine="fbgemm")
    for model_id in MODELS:
        for setting in ["global", "types"]:
            model = make_model(model_id).eval()
            calibration, test = batches(model_id)
            with torch.no_grad():
                prepared = prepare_n_shadows_model(model, calibration[0], mapping(setting), get_native_backend_config())
                loggers_set_enabled(prepared, False)
                for batch in calibration:
                    prepared(*batch)
                converted = convert_n_shadows_model(prepared)
                loggers_set_enabled(converted, True)
                loggers_set_save_activations(converted, True)
                converted(*test)
            results = extract_results_n_shadows_model(converted)
            suite.flow(f"{model_id}-{setting}", "n-shadows", {}, {"model": model_id, "setting": setting}, {"rows": rows(results)})
    suite.write()


if __name__ == "__main__":
    main()
