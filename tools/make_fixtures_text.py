"""Writes tests/model/fixtures/umt5.safetensors: a tiny random UMT5EncoderModel of transformers, its input and output.

The file holds the weights under Hugging Face's names, `ids` and `lengths`, `output` (float32; rows beyond a length are
zeroed, as in Wan2.1's pipeline), `output_bfloat16` (the same model and input in bfloat16), and the gradients of
sum(output * weights) as `gradient.<name>`. Needs torch, transformers, safetensors:

    python tools/make_fixtures_text.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import UMT5Config, UMT5EncoderModel

LENGTH = 41  # distances up to 40: every kind of bucket of 8 with a largest distance of 20
GRADIENTS = (
    "shared.weight",
    "encoder.block.0.layer.0.SelfAttention.q.weight",
    "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight",
    "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
    "encoder.block.1.layer.0.layer_norm.weight",
)


def main():
    torch.manual_seed(0)
    config = UMT5Config(
        vocab_size=40, d_model=16, d_kv=8, num_heads=2, d_ff=32, num_layers=2, dropout_rate=0.0,
        relative_attention_num_buckets=8, relative_attention_max_distance=20,
        feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False,
    )  # fmt: skip
    model = UMT5EncoderModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            deviation = 1.0 if parameter.dim() == 1 or "bias" in name or "shared" in name else 0.3
            parameter.copy_(torch.randn_like(parameter) * deviation + (parameter.dim() == 1))

    ids = torch.randint(2, config.vocab_size, (3, LENGTH))
    lengths = torch.tensor([LENGTH, 17, 1])
    mask = torch.arange(LENGTH)[None] < lengths[:, None]
    ids = ids * mask

    def run(encoder):
        return encoder(ids, mask.long()).last_hidden_state * mask[..., None]

    output = run(model)
    weights = torch.randn_like(output)
    (output * weights).sum().backward()
    parameters = {name.replace("encoder.embed_tokens", "shared"): p for name, p in model.named_parameters()}
    tensors = {name: p.detach().clone() for name, p in parameters.items()}
    tensors |= {f"gradient.{name}": parameters[name].grad.clone() for name in GRADIENTS}
    tensors |= {"ids": ids, "lengths": lengths, "output": output.detach(), "output_weights": weights}
    with torch.no_grad():
        tensors["output_bfloat16"] = run(model.bfloat16())

    path = Path(__file__).resolve().parent.parent / "tests/model/fixtures/umt5.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
