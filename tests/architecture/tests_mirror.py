"""Checks that tests/ mirrors moga/: tests/<folder>/<name>_test.cpp tests moga/<folder>/<name>.

    python tests/architecture/tests_mirror.py [root]

"_gpu" before "_test" is allowed. tests/apps runs the program as a whole and tests/support tests itself.
"""
import pathlib
import sys

# Tests of several files of their folder together.
WHOLE = {
    "model/denoiser_ranks_test.cpp",   # the denoiser on meshes of ranks
    "model/vae/passes_test.cpp",       # what runs between the VAE's convolutions, against ATen
    "model/wan/image_to_video_test.cpp",  # the transformer with images
    "model/wan/sequence_test.cpp",     # the transformer spread over ranks
    "model/wan/wide_test.cpp",         # transformer and VAE at wide sizes, against diffusers
    "pipeline/ranks_test.cpp",         # generation and evaluation on several ranks
    "pipeline/parity_test.cpp",        # the whole pipeline against diffusers
    "train/video/image_runs_test.cpp", # runs of image-to-video models
    "train/video/lora_test.cpp",       # a run that trains low-rank updates
    "train/video/faults_test.cpp",     # ranks that die, hang or run out of memory while they train
    "train/video/ranks_test.cpp",      # train steps on several ranks
    "train/video/resume_ranks_test.cpp",  # a run continued on other numbers of processes
    "train/video/sharded_ranks_test.cpp",  # train steps with the state in shards over ranks
    "train/video/train_gpu_test.cpp",  # a training run on a GPU
}
ELSEWHERE = {"apps", "support", "architecture"}


def offences(root):
    for test in sorted((root / "tests").rglob("*_test.cpp")):
        place = test.relative_to(root / "tests")
        if place.parts[0] in ELSEWHERE or str(place) in WHOLE:
            continue
        tested = root / "moga" / place.parent / place.name.removesuffix("_test.cpp").removesuffix("_gpu")
        if not any(tested.with_suffix(suffix).exists() for suffix in (".h", ".cpp", ".cu")):
            yield f"tests/{place}: no {tested.relative_to(root)}.h, .cpp or .cu; move or rename the test, or add it to WHOLE"


found = list(offences(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
print("\n".join(found) if found else "tests mirror moga/")
sys.exit(bool(found))
