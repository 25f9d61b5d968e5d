"""Malformed and foreign files, at least 30 of each kind, are refused in one line before weights are read.

For each file `moga generate` must end with status 1 and one line that names the file and what is wrong in it, and no
page of the folder's weights may have been read: they are holes of files that were just written, and fincore says which
pages of them are in memory. The folders without a fault make a film at the end, and their weights are read.

    python refusals_test.py MOGA SOURCE_DIR [KIND...]

Prints one row per kind, with MOGA_REFUSALS=1 every line of `moga generate`. Needs fincore (util-linux).
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent / "refusals"))

import eight_bits
import families
import foreign
import lora
import models
import moga_adapters
import parts
import pictures
from model_copy import LARGE, Model

FEWEST = 30  # files of a kind
HEADERS = 512 << 10  # bytes around a header that the system reads ahead
LONGEST_LINE = 700
SKIPPED = 77
SCRIPT = 'size = [64, 64]\nseed = 1\n[[shot]]\ncaption = "Mara waves."\nframes = 5\n'
IMAGES = {"I2V": 'image = "good.png"\n', "A14B": 'image = "good.png"\n',
          "FLF2V": 'image = "good.png"\nlast_image = "good.png"\n'}  # fmt: skip


class Setting:
    """The program, and a folder with a script and a model of each family."""

    def __init__(self, moga, source, work):
        self.moga, self.work = moga, work
        self.fixtures = source / "tests/model/fixtures"
        self.jpeg = (source / "tests/data/video/fixtures/rgb.jpg").read_bytes()
        (work / "good.png").write_bytes(pictures.GOOD_PNG)
        for family in families.FAMILIES:
            families.write_family(work / family, family, self.fixtures)
            (work / f"{family}.toml").write_text(SCRIPT + IMAGES.get(family, ""))

    def generate(self, model, script, *options):
        command = [self.moga, "generate", script, "--model", model, "--out", self.work / "film.y4m", "--device", "cpu",
                   "--steps", "1", "--quiet", *options]  # fmt: skip
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace", timeout=120)

    def good_adapter(self):
        """Of the small model, made by `moga calibrate`."""
        path = self.work / "moga.safetensors"
        command = [self.moga, "calibrate", "--model", self.work / "small", "--script", self.work / "small.toml", "--quiet",
                   "--steps", "1", "--tokens", "16", "--adapter", path, "--device", "cpu"]  # fmt: skip
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        return path


def pages_read(folder):
    """Bytes in memory of the large weights file of which most are, and the bytes of all."""
    files = [path for path in folder.rglob("*.safetensors") if path.stat().st_size >= LARGE]
    if not files:
        return 0, 0
    command = ["fincore", "--bytes", "--noheadings", "--output", "RES", *files]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return max(int(line) for line in lines), sum(path.stat().st_size for path in files)


def fault_of(done, read, says):
    """What is wrong with a refusal; empty when nothing is."""
    if done.returncode != 1:
        return f"status {done.returncode}"
    if done.stdout or done.stderr.count("\n") != 1 or not done.stderr.startswith("moga: "):
        return "not one line"
    if len(done.stderr) > LONGEST_LINE:
        return f"a line of {len(done.stderr)} characters"
    for text in says:
        if text not in done.stderr:
            return f"does not say {text!r}"
    return f"{read} bytes of weights were read" if read > HEADERS else ""


def run_case(setting, family, label, change, says):
    """`change` damages a copy of the family's folder, and may return a script and options of `moga generate`."""
    with tempfile.TemporaryDirectory(dir=setting.work) as folder:
        model = Model(pathlib.Path(folder) / "model", setting.work / family)
        script, *options = change(model) or [setting.work / f"{family}.toml"]
        done = setting.generate(model.folder, script, *options)
        line = done.stderr.replace(folder, "…").replace(str(setting.work), "…").strip()
        return label, fault_of(done, pages_read(model.folder)[0], says), line


def of_files(option, cases):
    """Cases that write a file next to the model, which the option names."""
    name = "given.safetensors"

    def with_file(write):
        def change(model):
            path = model.folder.parent / name
            write(path)
            return model.folder.parent.parent / "T2V.toml", option, path

        return change

    return [(label, with_file(write), (name, *says)) for label, write, says in cases]


def of_loras(cases):
    return of_files("--lora", cases)


def of_pictures(name, cases):
    """Pictures that a script names."""

    def with_picture(data):
        def change(model):
            (model.folder.parent / name).write_bytes(data)
            script = model.folder.parent / "film.toml"
            script.write_text(SCRIPT + f'image = "{name}"\n')
            return [script]

        return change

    return [(label, with_picture(data), (name, *says)) for label, data, says in cases]


def kinds(setting):
    """Kind → the family whose folder is copied, and a function that gives the cases."""
    return {
        "LoRA": ("T2V", lambda: of_loras(lora.cases())),
        "MoGA adapter": ("small", lambda: of_files("--adapter", moga_adapters.cases(setting.good_adapter()))),
        "scaled fp8": ("T2V", eight_bits.cases),
        **{family: (family, cases) for family, cases in models.KINDS.items()},
        **parts.KINDS,
        "PNG": ("I2V", lambda: of_pictures("shot.png", pictures.png_cases() + pictures.pictures_elsewhere())),
        "JPEG": ("I2V", lambda: of_pictures("shot.jpg", pictures.jpeg_cases(setting.jpeg))),
        "foreign models": ("T2V", lambda: foreign.models() + of_loras(foreign.adapters())),
    }


def check_kind(setting, pool, kind, family, cases):
    """Whether all files of a kind are refused as they should be; prints what is wrong."""
    found = list(pool.map(lambda one: run_case(setting, family, *one), cases))
    faults = [f"{kind}: {label}: {fault}: {line}" for label, fault, line in found if fault]
    print(f"{kind:16} {len(found) - len(faults):3} of {len(found):3} refused in one line, no weight read")
    print("".join(f"{fault}\n" for fault in faults), end="", flush=True)
    if os.environ.get("MOGA_REFUSALS"):
        print("".join(f"    {label}: {line}\n" for label, _, line in found))
    return len(found) >= FEWEST and not faults


def check_good(setting, family):
    """A folder without a fault makes a film, and its weights are read."""
    with tempfile.TemporaryDirectory(dir=setting.work) as folder:
        model = Model(pathlib.Path(folder) / "model", setting.work / family).folder
        assert pages_read(model)[0] <= HEADERS, f"{family}: weights are in memory before anything has read them"
        done = setting.generate(model, setting.work / f"{family}.toml")
        assert done.returncode == 0, f"{family}: {done.stderr}"
        read, size = pages_read(model)
        assert read > size // 8, f"{family}: {read} of {size} bytes read, expected the weights"


def main(moga, source, *chosen):
    if not shutil.which("fincore"):
        print("skipped: no fincore, which util-linux has")
        return SKIPPED
    passed = True
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count())) as pool:
        setting = Setting(moga, pathlib.Path(source), pathlib.Path(folder))
        for kind, (family, cases) in kinds(setting).items():
            if not chosen or kind in chosen:
                passed &= check_kind(setting, pool, kind, family, cases())
        for family in families.FAMILIES:
            check_good(setting, family)
    return not passed


sys.exit(main(*sys.argv[1:]))
