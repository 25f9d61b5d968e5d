"""Checks the include table of the project: which folder of moga/ may include which, and that kernels/ has no torch.

    python tests/architecture/includes.py [root]

A new folder needs a row here; docs/design.md gives the reasons. A folder listed as "model/wan" is a row of its own; files directly in moga/model belong to the row "model". A row may
always include itself. A target "model" admits every folder below moga/model, "model/layers" only that one.
"""
import pathlib
import re
import sys

MODEL = {"attention", "kernels", "parallel", "core"}  # what every model folder may include
TRAIN = {"data", "parallel", "sampler", "core"}  # what every training task may include
MAY_INCLUDE = {
    # Device code: plain structs of pointers, strides and a stream. FRAMEWORK below keeps torch out.
    "kernels": set(),
    "core": set(),
    # Ranks and collectives; they know no model.
    "parallel": {"core"},
    "attention": {"kernels", "parallel", "core"},
    # Files directly in model/: the interfaces and the registry, the only files that know every family.
    "model": MODEL | {"model"},
    "model/layers": MODEL,
    # LoRA and MoGA adapters of any family's model.
    "model/adapter": MODEL | {"model/layers", "model"},
    # A family: layers and the interfaces, never another family.
    "model/wan": MODEL | {"model/layers", "model"},
    "model/mmdit": MODEL | {"model/layers", "model"},
    "model/vae": MODEL | {"model/layers", "model"},
    "model/text": MODEL | {"model/layers"},
    "model/image": MODEL | {"model/layers"},
    # The sampler evaluates a velocity function and the data knows no model either.
    "sampler": {"core"},
    "data": {"core", "data"},
    "data/video": {"core"},
    "data/story": {"data", "core"},
    "data/dataset": {"core"},
    "data/cuts": {"core"},
    "data/captioner": {"core"},
    "data/films": {"data/video", "data/cuts", "data/dataset", "data/captioner", "data", "core"},
    # The loop runs any task: no model, no data.
    "train/loop": {"parallel", "core"},
    "train/video": TRAIN | {"train/loop", "model"},
    "train/vae": TRAIN | {"train/loop", "model"},
    "train/text": TRAIN | {"train/loop", "model"},
    # Generation and training never include each other.
    "pipeline": {"model", "sampler", "data", "parallel", "core"},
    # Measures films of any program; the pipeline reads the script that a film carries.
    "evaluate": {"pipeline", "model", "data", "core"},
    # Reads the logs of runs.
    "plot": {"core"},
    # The HTTP server; its worker runs the pipeline.
    "serve": {"pipeline", "model", "data", "core"},
    # Measures all of the above except the pipeline.
    "bench": {"train", "data", "model", "sampler", "attention", "parallel", "core"},
}
PYTHON = {"attention", "core"}  # what python/src, the operators of the Python package, may include
FRAMEWORK = re.compile(r'#include *[<"](torch|ATen|c10)/')
OURS = re.compile(r'#include "moga/([\w/]+)/[\w.]+"')


def admits(row, folder):
    """Whether `folder` may be included under the entry `row` of a table line."""
    if "/" in row:
        return folder == row
    return folder == row or folder.startswith(row + "/")


def row_of(folder):
    """The table line that a folder of moga/ belongs to: its own, or that of the folder above it."""
    while folder not in MAY_INCLUDE and "/" in folder:
        folder = folder.rsplit("/", 1)[0]
    return folder


def offences(root):
    for source in sorted((root / "moga").rglob("*")):
        if source.suffix not in {".h", ".cpp", ".cuh", ".cu"}:
            continue
        folder = row_of(str(source.relative_to(root / "moga").parent))
        place = source.relative_to(root)
        if folder not in MAY_INCLUDE:
            yield f"{place}: the folder {folder} has no row in the include table"
            continue
        allowed = MAY_INCLUDE[folder]
        # A family may use the interfaces directly in moga/model, but not another family.
        for number, line in enumerate(source.read_text().splitlines(), 1):
            if folder == "kernels" and FRAMEWORK.search(line):
                yield f"{place}:{number}: kernels include no torch: {line}"
            found = OURS.search(line)
            if not found:
                continue
            target = row_of(found.group(1))
            exact = "/" in folder and target == folder.split("/")[0]  # files directly above a sub-folder
            if target == folder or (exact and target in allowed):
                continue
            if not any(admits(row, target) for row in allowed if not ("/" in folder and row == folder.split("/")[0])):
                yield f"{place}:{number}: {folder} may include {sorted(allowed)}, not {target}"
    for source in sorted((root / "apps").glob("*")):
        if source.suffix in {".h", ".cpp"} and '"moga/kernels/' in source.read_text():
            yield f"{source.relative_to(root)}: apps include no kernels"
    for source in sorted((root / "python/src").glob("*")):
        for folder in OURS.findall(source.read_text()):
            if folder not in PYTHON:
                yield f"{source.relative_to(root)}: python/src may include {sorted(PYTHON)}, not {folder}"


found = list(offences(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
print("\n".join(found) if found else "include table holds")
sys.exit(bool(found))
