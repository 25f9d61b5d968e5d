"""Holds the include table of the project: which folder of moga/ may include which, and that kernels/ knows no torch."""
import pathlib
import re
import sys

MAY_INCLUDE = {
    "kernels": set(),
    "core": set(),
    "parallel": {"core"},
    "attention": {"kernels", "parallel", "core"},
    "model": {"attention", "kernels", "parallel", "core"},
    "bench": {"train", "data", "model", "sampler", "attention", "core"},
    "sampler": {"core"},
    "data": {"core"},
    "train": {"model", "data", "parallel", "sampler", "core"},
    "pipeline": {"model", "sampler", "data", "parallel", "core"},
}
FRAMEWORK = re.compile(r'#include *[<"](torch|ATen|c10)/')
OURS = re.compile(r'#include "moga/(\w+)/')


def offences(root):
    for source in sorted((root / "moga").rglob("*")):
        if source.suffix not in {".h", ".cpp", ".cuh", ".cu"}:
            continue
        folder = source.relative_to(root / "moga").parts[0]
        allowed = MAY_INCLUDE[folder] | {folder}
        for number, line in enumerate(source.read_text().splitlines(), 1):
            place = f"{source.relative_to(root)}:{number}"
            if folder == "kernels" and FRAMEWORK.search(line):
                yield f"{place}: kernels include no torch: {line}"
            found = OURS.search(line)
            if found and found.group(1) not in allowed:
                yield f"{place}: {folder} may include {sorted(allowed)}, not {found.group(1)}"
    for source in sorted((root / "apps").glob("*")):
        if source.suffix in {".h", ".cpp"} and '"moga/kernels/' in source.read_text():
            yield f"{source.relative_to(root)}: apps include no kernels"


found = list(offences(pathlib.Path(sys.argv[1])))
print("\n".join(found) if found else "include table holds")
sys.exit(bool(found))
