"""Writes tests/data/video/fixtures: PNG and JPEG files of many kinds, and pictures.safetensors with the RGB pixels that
Pillow reads from each (after exif_transpose and convert("RGB")), under the file's name.

Made with pillow==12.1.1 torch==2.11.0. Run from the repository root:

    python tools/make_fixtures_pictures.py
"""

import struct
import zlib
from pathlib import Path

import numpy
import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent.parent / "tests/data/video/fixtures"
HEIGHT, WIDTH = 19, 26


def pixels(seed=0):
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [numpy.sin(x / (2 + i)) * numpy.cos(y / (3 + i)) * 100 + 128 for i in range(3)]
    noise = numpy.random.default_rng(seed).normal(0, 8, (HEIGHT, WIDTH, 3))
    return (numpy.stack(waves, -1) + noise).clip(0, 255).astype(numpy.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png16(path, values):
    """RGB of 16 bits a channel, which Pillow reads and does not write."""
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    rgb = Image.fromarray(pixels())
    with_alpha = Image.fromarray(numpy.dstack([pixels(), numpy.full((HEIGHT, WIDTH), 255, numpy.uint8)]))
    rgb.save(FOLDER / "rgb.png")
    rgb.convert("L").save(FOLDER / "grey.png")
    rgb.quantize(16).save(FOLDER / "palette.png")
    rgb.convert("1").save(FOLDER / "one_bit.png")
    with_alpha.save(FOLDER / "opaque.png")
    with_alpha.convert("LA").save(FOLDER / "grey_opaque.png")
    write_png16(FOLDER / "sixteen_bit.png", pixels().astype(numpy.uint16) * 251 + 77)
    rgb.save(FOLDER / "rgb.jpg", quality=90)
    rgb.save(FOLDER / "full_colour.jpg", quality=95, subsampling=0, progressive=True)
    rgb.convert("L").save(FOLDER / "grey.jpg")
    for orientation in (2, 3, 4, 5, 6, 7, 8):
        exif = Image.Exif()
        exif[0x0112] = orientation
        rgb.save(FOLDER / f"turned{orientation}.jpg", exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(FOLDER / "turned6.png", exif=exif)
    tensors = {}
    for path in sorted(FOLDER.glob("*.png")) + sorted(FOLDER.glob("*.jpg")):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        tensors[path.name] = torch.from_numpy(numpy.array(image)).permute(2, 0, 1).contiguous()
    save_file(tensors, FOLDER / "pictures.safetensors")

    refused = FOLDER / "refused"
    refused.mkdir(exist_ok=True)
    clear = numpy.array(with_alpha)
    clear[3, 4, 3] = 254
    Image.fromarray(clear).save(refused / "transparent.png")
    rgb.convert("CMYK").save(refused / "cmyk.jpg")
    rgb.save(refused / "picture.webp")
    (refused / "half.jpg").write_bytes((FOLDER / "rgb.jpg").read_bytes()[:700])
    (refused / "half.png").write_bytes((FOLDER / "rgb.png").read_bytes()[:700])


if __name__ == "__main__":
    main()
