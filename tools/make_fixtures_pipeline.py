"""Writes tests/pipeline/fixtures/wan, a tiny random WanPipeline of diffusers as saved by save_pretrained, and
wan.safetensors, the result that diffusers computes with it in float32 for one prompt.

As in the official repositories, the folder has bfloat16 weights, sharded in the same places, and spiece.model next to
tokenizer.json. wan.safetensors holds `latents` (the noise), `final_latents`, `frames` (in [0, 1]) and the request as
metadata. Made with torch==2.11.0 diffusers==0.42.1 transformers==5.23 sentencepiece ftfy. Run from the repository root:

    python tools/make_fixtures_pipeline.py
"""

import json
import random
import shutil
from pathlib import Path

import sentencepiece
import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from safetensors.torch import save_file
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

FIXTURES = Path(__file__).resolve().parent.parent / "tests/pipeline/fixtures"
TEXT_WIDTH = 16
CHANNELS = 4
WORDS = "a the red blue hat Ada Bo walks waves jumps in on park street beach night camera pans wide shot person's \"park\"".split()
REQUEST = dict(
    prompt="  Ada &amp;amp; Bo\twalk in the \u201cpark\u201d,\n  a person\u2019s red hat. ", negative_prompt="night; blurred",
    width=48, height=32, num_frames=5, num_inference_steps=4, guidance_scale=4.0,
)  # fmt: skip


def tokenizer(folder):
    """The files of the official tokenizer/ folder, for a unigram model without a normaliser (its table is 240 KB)."""
    generator = random.Random(0)
    sentences = [" ".join(generator.choices(WORDS, k=generator.randint(5, 20))) for _ in range(300)]
    folder.mkdir(parents=True)
    with (folder / "spiece.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_writer=file, vocab_size=70, model_type="unigram", pad_id=0,
            eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, num_threads=1, character_coverage=1.0,
            normalization_rule_name="identity", minloglevel=2,
        )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    vocabulary = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(len(pieces))]
    return T5Tokenizer(vocab=vocabulary, extra_ids=0)


def text_encoder(vocab_size):
    config = UMT5Config(
        vocab_size=vocab_size, d_model=TEXT_WIDTH, d_kv=8, num_heads=2, d_ff=32, num_layers=2, dropout_rate=0.0,
        feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False,
    )  # fmt: skip
    return UMT5EncoderModel(config)


def transformer():
    return WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=CHANNELS, out_channels=CHANNELS, text_dim=TEXT_WIDTH,
        freq_dim=16, ffn_dim=32, num_layers=2,
    )  # fmt: skip


def vae():
    return AutoencoderKLWan(
        base_dim=4, z_dim=CHANNELS, dim_mult=[1, 1, 1, 2], num_res_blocks=1, latents_mean=[0.1, -0.2, 0.3, -0.4],
        latents_std=[0.5, 1.0, 1.5, 2.0],
    )  # fmt: skip


def randomise(model, deviation):
    """Away from the initial values, so that no norm and no bias is trivially right."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = "norm" in name and name.endswith(("weight", "gamma"))
            parameter.copy_((torch.randn_like(parameter) * deviation + (1.0 if norm else 0.0)).bfloat16())


def run(pipeline, noise):
    request = REQUEST | dict(latents=noise)
    return pipeline(**request, output_type="latent").frames, pipeline(**request, output_type="pt").frames


def main():
    torch.manual_seed(0)
    shutil.rmtree(FIXTURES / "wan", ignore_errors=True)
    text_tokenizer = tokenizer(FIXTURES / "wan/tokenizer")
    pipeline = WanPipeline(
        tokenizer=text_tokenizer, text_encoder=text_encoder(len(text_tokenizer)).eval(), vae=vae().eval(),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        transformer=transformer().eval(),
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    randomise(pipeline.text_encoder, 0.3)
    randomise(pipeline.transformer, 0.2)
    randomise(pipeline.vae.encoder, 0.2)
    pipeline.to(torch.bfloat16)
    pipeline.save_pretrained(FIXTURES / "wan")
    for part, model in (("text_encoder", pipeline.text_encoder), ("transformer", pipeline.transformer)):
        for whole in (FIXTURES / "wan" / part).glob("*.safetensors"):
            whole.unlink()
        model.save_pretrained(FIXTURES / "wan" / part, max_shard_size="10KB" if part == "text_encoder" else "30KB")

    pipeline.to(torch.float32)  # the values that were saved
    pipeline.transformer.rope = transformer().rope  # a table, not saved, that bfloat16 has rounded
    torch.manual_seed(1)
    noise = torch.randn(1, CHANNELS, 2, 4, 6)
    latents, frames = run(pipeline, noise)
    save_file(
        {"latents": noise, "final_latents": latents[0], "frames": frames[0].contiguous()}, FIXTURES / "wan.safetensors",
        metadata={"request": json.dumps(REQUEST)},
    )  # fmt: skip
    print("latents", latents.std().item(), "frames", frames.min().item(), frames.max().item(), frames.std().item())
    print(sum(file.stat().st_size for file in FIXTURES.rglob("*") if file.is_file()), "bytes")


if __name__ == "__main__":
    main()
