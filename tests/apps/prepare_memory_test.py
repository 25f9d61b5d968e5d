"""Peak memory of the stages of `moga prepare videos` does not grow with a film's duration or its number of shots.

    python tests/apps/prepare_memory_test.py build/cpu/bin/moga .

Each stage reads a film of 20 s with 40 shots and one of 200 s with 400, each in its own process.
"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile

WIDTH, HEIGHT, RATE, BLOCK = 160, 96, 16, 8
FRAMES_A_SHOT = 8
MOST_GROWTH = 1.08  # a frame kept per shot makes it 1.13


def plane(chance, width, height):
    """Rows of a random picture of blocks, twice as wide as a frame."""
    columns = 2 * width // BLOCK
    rows = [bytes(value for value in chance.choices(range(20, 236), k=columns) for _ in range(BLOCK)) for _ in range(height // BLOCK)]
    return [row for row in rows for _ in range(BLOCK)]


def write_film(path, shots):
    chance = random.Random(1)
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for _ in range(shots):
            planes = [(plane(chance, w, h), w) for w, h in ((WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2), (WIDTH // 2, HEIGHT // 2))]
            for i in range(FRAMES_A_SHOT):
                file.write(b"FRAME\n")
                for rows, width in planes:
                    shift = 2 * i * width // WIDTH
                    file.write(b"".join(row[shift : shift + width] for row in rows))


def peaks(program, source, folder, name, shots):
    """MiB of each stage."""
    films = folder / name
    films.mkdir()
    write_film(films / "film.y4m", shots)
    (films / "film.txt").write_text("Blocks.")
    config = folder / f"{name}.toml"
    config.write_text(f'input = "{films}"\nout = "{folder}/{name}-out"\n[merge]\narea = 15360\naspects = ["5:3"]\nmin_seconds = 0.25\nmax_seconds = 2\nmin_shot_seconds = 0.25\n'
                      f'[encode]\nvae = "{source}/tests/model/fixtures/vae"\ndevice = "cpu"\nreaders = 2\nsamples_a_shard = 4\n')
    found = {}
    for stage in ("probe", "cut", "score", "crop", "merge", "encode", "report"):
        process = subprocess.Popen([program, "prepare", "videos", config, "--stage", stage], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, OMP_NUM_THREADS="1"))
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, (name, stage, status)
        found[stage] = usage.ru_maxrss / 1024
    lines = len((folder / f"{name}-out/cut.jsonl").read_text().splitlines())
    assert lines >= 0.9 * shots, f"{lines} of {shots} shots found"
    return found


def main():
    with tempfile.TemporaryDirectory() as name:
        short, long = (peaks(sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(name), *film) for film in (("short", 40), ("long", 400)))
    for stage in short:
        print(f"{stage}: {short[stage]:.1f} MiB, {long[stage]:.1f} MiB for ten times the duration")
    for stage in short:
        assert long[stage] <= MOST_GROWTH * short[stage], stage


main()
