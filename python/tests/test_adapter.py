"""MoGA adapters: the base that they name, and files that are none."""

import json
import os
import pathlib
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file

import moga
from moga.adapter import shapes_hash
from moga.wan_names import wan_name

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests/pipeline/fixtures/wan"


def program():
    named = os.environ.get("MOGA_PROGRAM")
    built = [pathlib.Path(named)] if named else sorted(ROOT.glob("build/*/bin/moga"))
    return next((path for path in built if path.is_file()), None)


@pytest.mark.skipif(program() is None, reason="the program moga is not built (MOGA_PROGRAM names it)")
def test_the_base_of_a_calibrated_adapter_is_recognised(tmp_path):
    path = tmp_path / "adapter.safetensors"
    command = [program(), "calibrate", "--model", FIXTURE, "--adapter", path, "--frames", "9", "--size", "48x32"]
    command += ["--steps", "2", "--observed-steps", "1", "--routers", "tokens", "--device", "cpu", "--quiet"]
    subprocess.run(command, check=True)
    adapter = moga.load_adapter(path)
    files = [load_file(file) for file in (FIXTURE / "transformer").glob("*.safetensors")]
    shapes = {wan_name(name): list(tensor.shape) for weights in files for name, tensor in weights.items()}
    adapter.check_base(2, 24, shapes)
    assert not adapter.lora and sorted(adapter.routers) == [0, 1]
    with pytest.raises(ValueError, match="of 2 blocks of width 24, the model is .* of width 24 with other tensors"):
        adapter.check_base(2, 24, shapes | {"head.head.bias": [4]})


def test_files_that_are_no_adapter_are_refused_in_a_line(tmp_path):
    path = tmp_path / "adapter.safetensors"
    path.write_bytes(b"no safetensors")
    with pytest.raises(ValueError, match="adapter.safetensors: cannot be read as safetensors"):
        moga.load_adapter(path)
    for metadata, message in (
        ({}, "is no MoGA adapter"),
        ({"moga.attention": "{"}, "moga.attention in its metadata is no JSON"),
        ({"moga.attention": "{}", "moga.base": "[]"}, "moga.base in its metadata is no JSON object"),
        ({"moga.attention": json.dumps({"grups": 3})}, "unknown key 'grups'; did you mean 'groups'"),
    ):
        save_file({"blocks.0.self_attn.router.weight": torch.ones(3, 8)}, path, metadata)
        with pytest.raises(ValueError, match=message) as error:
            moga.load_adapter(path)
        assert "\n" not in str(error.value)


def test_a_hash_depends_on_names_and_shapes():
    shapes = {"a.weight": [3, 4], "b.modulation": [1, 6, 4], "scale": []}
    found = shapes_hash(shapes)
    assert len(found) == 16 and found == shapes_hash(dict(reversed(shapes.items())))
    others = [shapes | {"a.weight": [4, 3]}, shapes | {"c": []}, {"a.weight": [3, 4]}]
    assert len({found, *map(shapes_hash, others)}) == 4
