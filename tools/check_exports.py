"""Runs onnx.checker with full type and shape inference over the .onnx files of a folder; exit code 1 when one fails.

Usage: python tools/check_exports.py folder     (tools/check-exports.ts writes the files and calls this)
"""

import pathlib
import sys

import onnx


def failure(path: pathlib.Path) -> str:
    """What the checker says against a file; empty when it says nothing. By path, for values beside the model."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:  # the checker throws several kinds
        return str(error).strip().splitlines()[0]
    return ""


def main() -> int:
    paths = sorted(pathlib.Path(sys.argv[1]).rglob("*.onnx"))
    failures = {path: why for path in paths if (why := failure(path))}
    for path, why in failures.items():
        print(f"{path.name}: {why}")
    print(f"onnx {onnx.__version__}: {len(paths)} files checked, {len(failures)} failed")
    return 1 if failures or not paths else 0


sys.exit(main())
