"""Malformed and foreign files, at least 30 of each kind, are refused in one line before weights are read.

For each file `moga generate` must end with status 1 and one line that names the file and what is wrong in it, and no
page of the folder's weights may have been read: they are holes of files that were just written, and fincore says which
pages of them are in memory. The folders without a fault are run at the end: they make a film, and their weights are read.

    python refusals_test.py MOGA SOURCE_DIR [KIND...]

Prints one row per kind. Needs fincore (util-linux) and no package.
"""

import concurrent.futures
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent / "refusals"))

import adapters
import eight_bits
import folders
import foreign
import pictures
import weights

FEWEST = 30
LARGE = 4 << 20  # files whose pages are counted
HEADERS = 512 << 10  # pages around a header that the system reads ahead
LONGEST_LINE = 700
SCRIPT = 'size = [64, 64]\nseed = 1\n[[shot]]\ncaption = "Mara waves."\nframes = 5\n'
IMAGE = 'image = "{}"\n'
SMALL = {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 32, "freq_dim": 16}


class Setting:
    """The program, the folders of all families, and a place for the copies."""

    def __init__(self, moga, source, work):
        self.moga, self.work = moga, work
        self.fixtures = source / "tests/model/fixtures"
        self.jpeg = (source / "tests/data/video/fixtures/rgb.jpg").read_bytes()
        for family in folders.FAMILIES:
            folders.write_family(self.family(family), family, self.fixtures)
        folders.write_family(self.family("small"), "T2V", self.fixtures, SMALL)
        self.write_script(work / "text.toml")
        for name in ("good.png", "last.png"):
            (work / name).write_bytes(pictures.GOOD_PNG)
        self.write_script(work / "image.toml", IMAGE.format("good.png"))
        self.write_script(work / "images.toml", IMAGE.format("good.png") + 'last_image = "last.png"\n')

    def family(self, name):
        return self.work / "families" / name

    def write_script(self, path, more=""):
        path.write_text(SCRIPT + more)

    def script_of(self, family):
        return self.work / {"I2V": "image.toml", "A14B": "image.toml", "FLF2V": "images.toml"}.get(family, "text.toml")

    def generate(self, model, script, *options):
        command = [self.moga, "generate", script, "--model", model, "--out", self.work / "film.y4m", "--device", "cpu",
                   "--steps", "1", "--quiet", *options]  # fmt: skip
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace", timeout=120)


def pages_read(folder):
    """Bytes in memory of the large weights files, and their size."""
    files = [path for path in pathlib.Path(folder).rglob("*.safetensors") if path.stat().st_size >= LARGE]
    if not files:
        return 0, 0
    lines = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", *files], capture_output=True, text=True, check=True)
    return max(int(line) for line in lines.stdout.split()), sum(path.stat().st_size for path in files)


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
    return f"read {read} bytes of weights" if read > HEADERS else ""


def run_case(setting, number, family, label, change, says):
    """`change` gets a Model and may return options of `moga generate`."""
    with tempfile.TemporaryDirectory(dir=setting.work) as folder:
        model = folders.Model(pathlib.Path(folder) / "model", setting.family(family))
        script, options = change(model) or (setting.script_of(family), [])
        done = setting.generate(model.folder, script, *options)
        line = done.stderr.replace(folder, "…").replace(str(setting.work), "…").strip()
        return label, fault_of(done, pages_read(folder)[0], says), line


def with_file(name, option, write):
    """A file next to the model, and the option that names it."""

    def change(model):
        path = model.folder.parent / name
        write(path)
        script = model.folder.parent / "film.toml"
        script.write_text(SCRIPT)
        return script, [option, path]

    return change


def with_picture(name, data):
    def change(model):
        (model.folder.parent / name).write_bytes(data)
        script = model.folder.parent / "film.toml"
        script.write_text(SCRIPT + IMAGE.format(name))
        return script, []

    return change


def changed(change):
    """A change of the folder alone."""

    def apply(model):
        change(model)

    return apply


def small_weights(setting):
    """Weights of the small model that are not zero, so that it can be calibrated."""
    path = setting.family("small") / "transformer" / folders.DIFFUSERS
    tensors, metadata = folders.read_header(path)
    dice = random.Random(1)
    values = {name: struct.pack(f"<{size // 4}f", *(dice.gauss(0, 0.2) for _ in range(size // 4)))
              for name, tensor in tensors.items() for size in [tensor["data_offsets"][1] - tensor["data_offsets"][0]]}  # fmt: skip
    for tensor in tensors.values():
        del tensor["data_offsets"]
    folders.write_weights(path, tensors, metadata, values)


def good_adapter(setting):
    """Made by `moga calibrate` for the small model, whose own folder stays unread: a copy is calibrated."""
    small_weights(setting)
    copy = setting.work / "calibrated"
    shutil.copytree(setting.family("small"), copy)
    path = setting.work / "moga.safetensors"
    subprocess.run([setting.moga, "calibrate", "--model", copy, "--script", setting.work / "text.toml", "--quiet", "--steps", "1",
                    "--tokens", "16", "--adapter", path, "--device", "cpu"], check=True, capture_output=True)  # fmt: skip
    return path


def kinds(setting):
    """Kind → (family, [(label, change, says)])."""

    def of_files(name, option, cases):
        return [(label, with_file(name, option, write), (name, *says)) for label, write, says in cases]

    def of_pictures(name, cases):
        return [(label, with_picture(name, data), (name, *says)) for label, data, says in cases]

    def of_models(cases):
        return [(label, changed(change), says) for label, change, says in cases]

    return {
        "LoRA": lambda: ("T2V", of_files("style.safetensors", "--lora", adapters.lora())),
        "MoGA adapter": lambda: ("small", of_files("moga.safetensors", "--adapter", adapters.moga(good_adapter(setting)))),
        "scaled fp8": lambda: ("T2V", of_models(eight_bits.cases())),
        **{family: lambda family=family, cases=cases: (family, of_models(cases())) for family, cases in weights.KINDS.items()},
        "PNG": lambda: ("I2V", of_pictures("shot.png", pictures.png_cases())),
        "JPEG": lambda: ("I2V", of_pictures("shot.jpg", pictures.jpeg_cases(setting.jpeg))),
        "foreign models": lambda: ("T2V", of_models(foreign.models()) + of_files("style.safetensors", "--lora", foreign.adapters())),
    }  # fmt: skip


def check_good(setting, family):
    """A folder without a fault makes a film, and its weights are read."""
    with tempfile.TemporaryDirectory(dir=setting.work) as folder:
        model = pathlib.Path(folder) / "model"
        folders.write_family(model, family, setting.fixtures)
        assert pages_read(model)[0] <= HEADERS, f"{family}: weights are in memory before anything has read them"
        done = setting.generate(model, setting.script_of(family))
        assert done.returncode == 0, f"{family}: {done.stderr}"
        read, size = pages_read(model)
        assert read > size // 8, f"{family}: {read} of {size} bytes read, expected the weights"


def main():
    moga, source, chosen = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count())) as pool:
        setting = Setting(moga, source, pathlib.Path(folder))
        faults = []
        for kind, make in kinds(setting).items():
            if chosen and kind not in chosen:
                continue
            family, cases = make()
            assert len(cases) >= FEWEST, f"{kind}: {len(cases)} files, expected at least {FEWEST}"
            found = list(pool.map(lambda one: run_case(setting, 0, family, *one), cases))
            bad = [one for one in found if one[1]]
            print(f"{kind:16} {len(found) - len(bad):3} of {len(found):3} refused in one line, no weight read", flush=True)
            faults += [f"{kind}: {label}: {fault}: {line}" for label, fault, line in bad]
            if os.environ.get("MOGA_REFUSALS"):  # all lines, to be read
                print("".join(f"    {label}: {line}\n" for label, _, line in found))
        for family in folders.FAMILIES if not chosen else ():
            check_good(setting, family)
        print("\n".join(faults))
        sys.exit(bool(faults))


main()
