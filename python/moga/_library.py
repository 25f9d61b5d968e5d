"""Loads the library that holds the operators. It fits one release of torch, the one that it was built against."""

import pathlib

import torch

try:
    from moga._build_info import KERNELS, TORCH_VERSION
except ImportError as error:
    raise ImportError(
        "moga: this folder holds sources without the built library; install the package with pip"
    ) from error


def _series(version: str) -> str:
    return ".".join(version.partition("+")[0].split(".")[:2])


if _series(torch.__version__) != _series(TORCH_VERSION):
    raise ImportError(
        f"moga was built against torch {TORCH_VERSION} and cannot be used with torch {torch.__version__}; "
        "build it again in this environment: pip install --force-reinstall --no-deps --no-cache-dir ./python"
    )

torch.ops.load_library(pathlib.Path(__file__).with_name("libmoga_operators.so"))

__all__ = ["KERNELS", "TORCH_VERSION"]
