"""A Wan2.1-T2V-1.3B folder with random weights, whose times and memory are those of the published one: transformer,
UMT5-XXL and VAE in bfloat16; tokenizer and scheduler of models/demo.

    python python/bench/random_wan.py OUT            about 14 GB, on a GPU
    python python/bench/random_wan.py OUT --small    small enough for a test

Needs torch, diffusers and transformers.
"""

import argparse
import json
import pathlib
import shutil

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

DEMO = pathlib.Path(__file__).resolve().parents[2] / "models" / "demo"
TRANSFORMER = {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}
UMT5_XXL = {"vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
SMALL_TRANSFORMER = {"num_attention_heads": 2, "ffn_dim": 64, "num_layers": 1}
SMALL_UMT5 = {"vocab_size": 1000, "d_model": 4096, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--small", action="store_true", help="a small model with the same parts")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        (AutoencoderKLWan(base_dim=8) if options.small else AutoencoderKLWan()).save_pretrained(options.out / "vae")
        transformer = WanTransformer3DModel(**(SMALL_TRANSFORMER if options.small else TRANSFORMER))
        transformer.save_pretrained(options.out / "transformer")
        text_encoder = UMT5EncoderModel(UMT5Config(**(SMALL_UMT5 if options.small else UMT5_XXL)))
        text_encoder.save_pretrained(options.out / "text_encoder", max_shard_size="5GB")
    for part in ("tokenizer", "scheduler"):
        shutil.copytree(DEMO / part, options.out / part, dirs_exist_ok=True)
    index = json.loads((DEMO / "model_index.json").read_text())
    index.pop("_moga", None)  # the demo's size
    (options.out / "model_index.json").write_text(json.dumps(index, indent=2))


if __name__ == "__main__":
    main()
