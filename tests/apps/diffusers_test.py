"""models/demo and the model of a training run load in diffusers' own WanPipeline, and give the latents of `moga generate`.

Their tokenizer is a byte-pair model, which transformers reads as a unigram model and splits otherwise: text tokens are made
with sentencepiece, as `moga` makes them. diffusers rounds UniPC's timesteps, so ours are rounded too.

    python diffusers_test.py MOGA SOURCE_DIR

Needs diffusers and transformers (pip install diffusers==0.42.1 transformers sentencepiece); without them it ends with
77, which CTest reports as skipped. No network is used.
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import sentencepiece
    import torch
    from diffusers import AutoencoderKLWan, WanPipeline, WanTransformer3DModel
    from transformers import UMT5EncoderModel
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PARTS = {"transformer": WanTransformer3DModel, "vae": AutoencoderKLWan, "text_encoder": UMT5EncoderModel}
CAPTION = "Close-up, by the lake, by day: Mara looks around in the middle."
SCRIPT = f'size = [64, 48]\nseed = 11\nnegative_prompt = "blurred"\n[[shot]]\ncaption = "{CAPTION}"\nframes = 5\n'
TRAINING = """
[transformer]
num_attention_heads = 2
attention_head_dim = 12
text_dim = 16
freq_dim = 16
ffn_dim = 32
num_layers = 2
text_len = 24
[text_encoder]
vocab_size = 1000
d_model = 16
d_kv = 8
d_ff = 32
num_layers = 1
num_heads = 2
[[stage]]
data = "shards"
steps = 1
batch = 1
"""


def run(*command, cwd=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def check_loads(folder):
    """Every weight of diffusers' models comes from the folder, and only routers are left over."""
    for part, model in PARTS.items():
        _, info = model.from_pretrained(folder, subfolder=part, output_loading_info=True)
        assert not info["missing_keys"], f"{folder}/{part}: missing {sorted(info['missing_keys'])[:3]}"
        left = [name for name in info["unexpected_keys"] if ".router." not in name]
        assert not left, f"{folder}/{part}: unexpected {left[:3]}"
    pipeline = WanPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def latents_of(path):
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    entry = json.loads(raw[8 : 8 + length])["latents"]
    values = torch.frombuffer(bytearray(raw[8 + length :]), dtype=torch.float32)
    return values[: torch.Size(entry["shape"]).numel()].reshape(entry["shape"])


@torch.no_grad()
def embedding(pipeline, pieces, text, text_len):
    ids = pieces.encode(text) + [pieces.eos_id()]
    padded, mask = torch.zeros(2, 1, text_len, dtype=torch.long)
    padded[0, : len(ids)], mask[0, : len(ids)] = torch.tensor(ids), 1
    states = pipeline.text_encoder(padded, mask).last_hidden_state
    states[:, len(ids) :] = 0
    return states


def check_same_film(moga, folder, pipeline, work):
    """A seed gives diffusers' latents with --noise-from diffusers and full attention."""
    (work / "film.toml").write_text(SCRIPT)
    run(moga, "generate", work / "film.toml", "--model", folder, "--out", work / "film.y4m", "--quiet", "--steps", 3,
        "--noise-from", "diffusers", "--set", "transformer.moga.kind=full", "--set", "sampler.whole_timesteps=true", "--save-latents", work / "ours.safetensors",
        "--device", "cpu")  # fmt: skip
    text_len = json.loads((folder / "transformer/config.json").read_text())["text_len"]
    guidance = json.loads((folder / "scheduler/scheduler_config.json").read_text())["guidance"]
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer/spiece.model"))
    captions, negatives = (embedding(pipeline, pieces, text, text_len) for text in (CAPTION, "blurred"))
    theirs = pipeline(prompt_embeds=captions, negative_prompt_embeds=negatives, width=64, height=48, num_frames=5,
                      num_inference_steps=3, guidance_scale=guidance, output_type="latent",
                      generator=torch.Generator("cpu").manual_seed(11)).frames[0]  # fmt: skip
    ours = latents_of(work / "ours.safetensors")
    error = ((ours - theirs).norm() / theirs.norm()).item()
    print(f"{folder.name}: relative error of the latents {error:.1e}")
    assert error < 2e-5, error


def train(moga, source, work):
    demo = source / "models/demo"
    run(moga, "prepare", "stories", "--vae", demo / "vae", "--count", 1, "--out", work / "shards",
        "--set", "story.frames=33", "--set", "story.width=64", "--set", "story.height=48", "--set", "device=cpu")  # fmt: skip
    keys = f'out = "run"\ndevice = "cpu"\ntokenizer = "{demo}/tokenizer/spiece.model"\nvae = "{demo}/vae"\n'
    (work / "train.toml").write_text(keys + TRAINING)
    run(moga, "train", work / "train.toml", cwd=work)
    index = json.loads((work / "run/model/model_index.json").read_text())
    assert index["_moga"] == {"size": [64, 48]}, index
    return work / "run/model"


def main():
    moga, source = sys.argv[1], pathlib.Path(sys.argv[2])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        demo = source / "models/demo"
        check_same_film(moga, demo, check_loads(demo), work)
        trained = train(moga, source, work)
        check_same_film(moga, trained, check_loads(trained), work)


main()
