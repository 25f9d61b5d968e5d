#!/usr/bin/env python3
"""Finds subtitles and watermarks in the shots of a folder of `moga prepare videos` with RapidOCR, for its stage crop.

    pip install rapidocr-onnxruntime opencv-python-headless
    moga prepare videos configs/videos.toml --set input=films --set out=data/films --stage probe      and --stage cut
    python tools/find_text.py data/films
    moga prepare videos configs/videos.toml --set input=films --set out=data/films

Writes "boxes": [[x, y, width, height], …] into the lines of cut.jsonl, in pixels of the picture as displayed. Only text near an edge of the picture counts, where subtitles and
watermarks are (--everywhere for all): text in the middle belongs to the scene. Lines that have boxes are left as they are (--again to look again).
"""
import argparse
import json
import os
import pathlib

import cv2
from rapidocr_onnxruntime import RapidOCR

MARGIN = 4  # pixels around a box


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def write_lines(path, records):
    """Whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text("".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records))
    os.replace(temporary, path)


def frames_of(video, film, shot, count):
    """The pictures at (i + 0.5) / count of the shot, as displayed: OpenCV turns them, anamorphic pixels are made square here."""
    for i in range(count):
        video.set(cv2.CAP_PROP_POS_MSEC, 1000 * (shot["start"] + (shot["end"] - shot["start"]) * (i + 0.5) / count))
        good, frame = video.read()
        if good:
            yield cv2.resize(frame, (film["width"], film["height"]), interpolation=cv2.INTER_AREA)


def text_boxes(reader, frame, least_score):
    """[left, top, right, bottom] of each line of text."""
    found, _ = reader(frame)
    for corners, _, score in found or []:
        if float(score) >= least_score:
            xs, ys = zip(*corners)
            yield [min(xs) - MARGIN, min(ys) - MARGIN, max(xs) + MARGIN, max(ys) + MARGIN]


def near_edge(box, width, height, rim):
    return box[2] <= rim * width or box[0] >= (1 - rim) * width or box[3] <= rim * height or box[1] >= (1 - rim) * height


def united(boxes):
    """Boxes that overlap become one, until none does."""
    boxes = list(boxes)
    for i, a in enumerate(boxes):
        for j in range(i + 1, len(boxes)):
            b = boxes[j]
            if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]:
                both = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
                return united(boxes[:i] + boxes[i + 1 : j] + boxes[j + 1 :] + [both])
    return boxes


def inside(box, width, height):
    """[x, y, width, height] in whole pixels."""
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    return [left, top, min(width, int(box[2] + 1)) - left, min(height, int(box[3] + 1)) - top]


def boxes_of(reader, video, film, shot, arguments):
    found = []
    for frame in frames_of(video, film, shot, arguments.frames):
        for box in text_boxes(reader, frame, arguments.score):
            if arguments.everywhere or near_edge(box, film["width"], film["height"], arguments.rim):
                found.append(box)
    return sorted(inside(box, film["width"], film["height"]) for box in united(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="with probe.jsonl and cut.jsonl")
    parser.add_argument("--frames", type=int, default=8, help="frames per shot that are read (8)")
    parser.add_argument("--score", type=float, default=0.6, help="least confidence of a line of text (0.6)")
    parser.add_argument("--rim", type=float, default=0.3, help="part of each side that counts as near an edge (0.3)")
    parser.add_argument("--everywhere", action="store_true", help="text in the middle of the picture too")
    parser.add_argument("--again", action="store_true", help="shots that have boxes too")
    arguments = parser.parse_args()
    for name in ("probe.jsonl", "cut.jsonl"):
        if not (arguments.folder / name).exists():
            raise SystemExit(f"{arguments.folder / name} does not exist; run the stages probe and cut first")
    films = {film["film"]: film for film in read_lines(arguments.folder / "probe.jsonl")}
    shots, reader, videos, marked = read_lines(arguments.folder / "cut.jsonl"), RapidOCR(), {}, 0
    for shot in shots:
        film = films.get(shot["film"])
        if "dropped" in shot or film is None or "dropped" in film or ("boxes" in shot and not arguments.again):
            continue
        if film["film"] not in videos:
            videos = {film["film"]: cv2.VideoCapture(film["path"])}  # one at a time
        boxes = boxes_of(reader, videos[film["film"]], film, shot, arguments)
        shot.pop("boxes", None)
        if boxes:
            shot["boxes"] = boxes
            marked += 1
            print(f"{film['path']} shot {shot['shot']}: {boxes}")
    write_lines(arguments.folder / "cut.jsonl", shots)
    print(f"{arguments.folder / 'cut.jsonl'}: text in {marked} of {len(shots)} shots")


main()
