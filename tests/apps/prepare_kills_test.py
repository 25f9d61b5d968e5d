"""`moga prepare videos` killed at random moments of every stage: the run that is repeated gives the bytes of one that nothing disturbed.

    python tests/apps/prepare_kills_test.py build/cpu/bin/moga .      MOGA_KILLS=30 for more than 6 kills, MOGA_KILL_SEED for other moments
                                                                        MOGA_STAGE_KILLS=30 for as many kills inside each stage

Two drawn films go through all stages, with captions from a small server in this process and the demo model's VAE and text encoder.
"""
import hashlib
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time


class Captioner(http.server.BaseHTTPRequestHandler):
    """The same answer to the same request."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = "Two people, picture " + hashlib.sha1(body).hexdigest()[:6] + "."
        answer = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


def command(program, source, folder, out, port):
    demo = source / "models/demo"
    settings = {"input": folder / "films", "out": out, "merge.area": 6144, "merge.max_seconds": 2, "merge.min_seconds": 0.5, "merge.min_shot_seconds": 0.25, "encode.samples_a_shard": 1,
                "encode.vae": demo / "vae", "encode.text_encoder": demo / "text_encoder", "encode.tokenizer": demo / "tokenizer/spiece.model", "encode.device": "cpu",
                "caption.endpoint": f"http://127.0.0.1:{port}/v1", "caption.prompt": folder / "prompt.txt", "caption.film_prompt": folder / "film_prompt.txt", "caption.parallel": 1}
    return [program, "prepare", "videos", source / "configs/videos.toml"] + [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


LEFT_BY_A_KILL = re.compile(r"\..*\.partial-[0-9a-f]{16}(\..*)?")


def contents(folder):
    """Name and bytes of every file, except the settings and what a kill left under a hidden temporary name."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != "prepare.toml")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if not LEFT_BY_A_KILL.fullmatch(file.name)}


def run(words):
    begin = time.time()
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return time.time() - begin


def kill_within(words, out, stage, chance):
    """Starts `stage` again and kills it a random time after it has begun to write. Whether it was still running."""
    for file in [out / f"{stage}.jsonl"] + [out / f"{stage}.html"] * (stage == "report"):
        file.unlink(missing_ok=True)
    partial = out / ("shards.partial" if stage == "encode" else f"{stage}.jsonl.partial")
    if stage == "encode":
        shutil.rmtree(out / "shards", ignore_errors=True)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not partial.exists():
        time.sleep(0.002)
    if process.poll() is None:
        time.sleep(chance.uniform(0, 2 if stage == "encode" else 0.1))
    running = process.poll() is None
    process.kill()
    process.wait()
    return running


def main():
    program, source = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    kills, chance = int(os.environ.get("MOGA_KILLS", "6")), random.Random(int(os.environ.get("MOGA_KILL_SEED", "1")))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Captioner)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stages = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([program, "stories", "--count", "2", "--seed", "7", "--width", "224", "--height", "128", "--frames", "33", "--shots", "2", "--out", folder / "films"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (folder / "prompt.txt").write_text("Describe the shot.")
        (folder / "film_prompt.txt").write_text("Describe the film.")
        seconds = run(command(program, source, folder, folder / "whole", server.server_port))
        whole = contents(folder / "whole")
        for stage in ("probe", "cut", "score", "crop", "caption", "merge", "encode", "report"):
            assert f"{stage}.jsonl" in whole, (stage, sorted(whole))
        assert "report.html" in whole and any(file.startswith("shards/") for file in whole), sorted(whole)
        words = command(program, source, folder, folder / "killed", server.server_port)
        for kill in range(kills):
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # Each run gets further than the one before, so that the kills reach every stage.
            wait = seconds * chance.uniform(0.2, 1) * (0.4 + 0.6 * kill / max(1, kills - 1))
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            partial = sorted(file.name for file in (folder / "killed").glob("*.partial")) if (folder / "killed").exists() else []
            stages[" ".join(partial) or "between"] = stages.get(" ".join(partial) or "between", 0) + 1
        run(words)
        for stage in ("probe", "cut", "score", "crop", "caption", "merge", "encode", "report") if int(os.environ.get("MOGA_STAGE_KILLS", "0")) else ():
            hit = sum(kill_within(words, folder / "killed", stage, chance) for _ in range(int(os.environ["MOGA_STAGE_KILLS"])))
            print(f"{stage}: {hit} of {os.environ['MOGA_STAGE_KILLS']} kills while it ran", flush=True)
        run(words)
        for file in (folder / "killed").glob("*.old.jsonl"):
            file.unlink()  # what was removed above and made again is not the same file
        found = contents(folder / "killed")
        assert sorted(found) == sorted(whole), (sorted(found), sorted(whole))
        different = [file for file in whole if found[file] != whole[file]]
        assert not different, different
        run(words)
        assert contents(folder / "killed") == whole, "a run with nothing to do changes files"
    print(f"{kills} kills, the same {len(whole)} files; killed while writing: {stages}")


main()
