"""Which torch the package builds against and is imported with."""

import importlib
import pathlib
import subprocess
import sys

import pytest
import torch

import moga

FIND_TORCH = pathlib.Path(__file__).resolve().parents[1] / "find_torch.py"
SERIES = ("2.11", "2.12")


def found(*series, options=("-I",)):
    return subprocess.run([sys.executable, *options, FIND_TORCH, *series], capture_output=True, text=True)


def test_the_torch_of_the_environment_is_found():
    folder, version = found(*SERIES).stdout.strip().split(";")
    assert pathlib.Path(folder) == pathlib.Path(torch.__file__).parent
    assert torch.__version__.startswith(version)


def test_another_torch_is_refused_with_a_sentence():
    result = found("1.9", "1.10")
    assert result.returncode == 1
    assert f"torch is {torch.__version__.partition('+')[0]}, expected 1.9 or 1.10" in result.stderr


def test_an_environment_without_torch_is_refused_with_a_sentence():
    result = found(*SERIES, options=("-I", "-S"))  # -S: without site-packages
    assert "has no torch; install torch 2.11 or 2.12 first" in result.stderr


def test_the_library_names_its_torch(monkeypatch):
    assert torch.__version__.startswith(moga._library.TORCH_VERSION)
    assert isinstance(moga.KERNELS, bool)
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    monkeypatch.delitem(sys.modules, "moga._library")
    with pytest.raises(ImportError, match="cannot be used with torch 2.99.0"):
        importlib.import_module("moga._library")
