"""The commands of docs/finetuning.md at a tiny size: drawn films → prepared data set and report page → 20 train steps, and a VAE and a text encoder trained on the same folder.

    python tests/apps/finetune_test.py build/cpu/bin/moga .
"""
import json
import pathlib
import subprocess
import sys
import tempfile


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    demo = source / "models/demo"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)

        def moga(*words, settings={}):
            sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
            done = subprocess.run([program, *words, *sets], cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, (words, done.stderr[-2000:])

        moga("stories", "--count", "3", "--seed", "7", "--width", "224", "--height", "128", "--frames", "33", "--shots", "2", "--out", "films")
        for film in (folder / "films").glob("*.mp4"):
            film.with_suffix(".txt").write_text("Two people in a small town.")
        data = {"input": "films", "out": "data/films", "merge.area": 6144, "merge.min_seconds": 1, "merge.min_shot_seconds": 0.25, "encode.vae": demo / "vae",
                "encode.text_encoder": demo / "text_encoder", "encode.tokenizer": demo / "tokenizer/spiece.model", "encode.device": "cpu", "encode.held_out": 1}
        moga("prepare", "videos", source / "configs/videos.toml", settings=data)
        kept = [line for line in map(json.loads, (folder / "data/films/merge.jsonl").read_text().splitlines()) if "dropped" not in line]
        assert len(kept) == 3 and "thumbnails" in (folder / "data/films/report.html").read_text(), kept
        moga("train", source / "configs/finetune_wan.toml",
             settings={"init": demo, "weights": "float32", "recompute.mode": "none", "device": "cpu", "stage": '[{name="tiny",data="data/films/shards",steps=20,batch=1,lr=1e-5}]'})
        steps = [json.loads(line)["step"] for line in (folder / "runs/finetune/log.jsonl").read_text().splitlines() if "loss" in line]
        assert max(steps) == 20 and (folder / "runs/finetune/model/transformer").is_dir(), steps
        moga("train", "vae", source / "configs/demo_vae_refine.toml",
             settings={"data": "data/films", "init": demo / "vae", "device": "cpu", "steps": 2, "batch": 1, "frames": 5, "crop": 48, "pool": 2, "sample_every": 2})
        moga("train", "text", source / "configs/demo_text.toml",
             settings={"data": "data/films", "tokenizer": demo / "tokenizer/spiece.model", "device": "cpu", "steps": 2, "batch": 4, "held_out": 8})
        assert (folder / "runs/vae_refined/model/config.json").exists() and (folder / "runs/text/model/config.json").exists()
    print("films → data set, report page, 20 train steps, VAE, text encoder")


main()
