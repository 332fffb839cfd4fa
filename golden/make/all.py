"""Regenerates every golden file: `python golden/make/all.py [area ...]`."""
import importlib
import sys

AREAS = ["numerics", "observers", "fake_quantize", "float_ops", "float_modules", "training", "quantized_ops", "flows", "n_shadows", "float8_linear"]


def main():
    for area in sys.argv[1:] or AREAS:
        importlib.import_module(area).main()


if __name__ == "__main__":
    main()
