"""The commands of configs/stories_i2v.toml at a tiny size: stories with images → an image-to-video model made of the demo model → a film of a storyboard, and its
evaluation. Also a model that is given frames (Wan2.2-TI2V-5B's way), and what is said of data without images.

    python tests/apps/image_to_video_test.py build/cpu/bin/moga .
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

SIZE = {"story.width": 64, "story.height": 48, "story.frames": 17, "story.min_shots": 2, "story.max_shots": 2, "device": "cpu"}


def main():
    program, source = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        demo = folder / "models/demo"
        shutil.copytree(source / "models/demo", demo)

        def moga(*words, settings={}, status=0):
            sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
            done = subprocess.run([program, *map(str, words), *sets], cwd=folder, capture_output=True, text=True)
            assert done.returncode == status, (words, done.stderr[-2000:])
            return done.stdout + done.stderr

        def prepare(out, form):
            moga("prepare", "stories", source / "configs/stories_short.toml",
                 settings=SIZE | {"vae": "models/demo/vae", "out": out, "count": 3, "batch": 2} | ({"images.form": form} if form else {}))

        for out, form in {"shown": "condition", "given": "latents", "plain": None}.items():
            prepare(f"data/{out}", form)
        stage = '[{{name="tiny",data="data/{}",steps=3,batch=2,lr=1e-4}}]'
        train = source / "configs/stories_i2v.toml"
        moga("train", train, settings={"stage": stage.format("shown"), "device": "cpu"})
        said = moga("train", train, settings={"stage": stage.format("plain"), "device": "cpu", "out": "runs/other"}, status=1)
        assert said.count("\n") == 1 and "stores no images, and an image-to-video model is trained" in said, said

        moga("stories", "--images", "--shots", 4, "--frames", 33, "--width", 64, "--height", 48, "--seed", 5, "--out", "board")
        assert len(list((folder / "board").glob("story-5-shot-*.png"))) == 4
        model = "runs/stories_i2v/model"
        moga("generate", "board/story-5.toml", "--model", model, "--steps", 2, "--device", "cpu", "--out", "film.y4m")
        assert (folder / "film.y4m").stat().st_size > 33 * 64 * 48
        moga("evaluate", "stories", "--model", model, "--stories", 1, "--batch", 1, "--steps", 1, "--width", 64, "--height", 48, "--frames", 33, "--device", "cpu", "--out", "evaluation")
        assert "all" in json.loads((folder / "evaluation/evaluation.json").read_text())

        index = json.loads((demo / "model_index.json").read_text())
        (demo / "model_index.json").write_text(json.dumps(index | {"expand_timesteps": True}))
        given = {"init": "models/demo", "train_text_encoder": "false", "device": "cpu", "out": "runs/given", "stage": stage.format("given")}
        (folder / "given.toml").write_text("".join(f"{key} = {value if key == 'train_text_encoder' else json.dumps(value)}\n" for key, value in given.items() if key != "stage")
                                           + "stage = " + given["stage"] + "\n")
        moga("train", "given.toml")
        moga("generate", "board/story-5.toml", "--model", "runs/given/model", "--steps", 2, "--device", "cpu", "--out", "given.y4m")
    print("stories with images → image-to-video model → film of a storyboard, evaluation; the same with given frames")


main()
