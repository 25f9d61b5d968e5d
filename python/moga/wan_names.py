"""Names of the tensors of Wan transformers: from diffusers' to Wan's own, as in moga/model/wan/weight_names.cpp."""

from __future__ import annotations

import re

# Prefixes in diffusers' names and in Wan's.
_MODEL = {
    "patch_embedding.": "patch_embedding.",
    "condition_embedder.text_embedder.linear_1.": "text_embedding.0.",
    "condition_embedder.text_embedder.linear_2.": "text_embedding.2.",
    "condition_embedder.time_embedder.linear_1.": "time_embedding.0.",
    "condition_embedder.time_embedder.linear_2.": "time_embedding.2.",
    "condition_embedder.time_proj.": "time_projection.1.",
    "condition_embedder.image_embedder.pos_embed": "img_emb.emb_pos",
    "condition_embedder.image_embedder.norm1.": "img_emb.proj.0.",
    "condition_embedder.image_embedder.ff.net.0.proj.": "img_emb.proj.1.",
    "condition_embedder.image_embedder.ff.net.2.": "img_emb.proj.3.",
    "condition_embedder.image_embedder.norm2.": "img_emb.proj.4.",
    "proj_out.": "head.head.",
    "scale_shift_table": "head.modulation",
}
# Of a block, after "blocks.N.". diffusers numbers the norms in the order of their use, Wan does not.
_BLOCK = {
    "scale_shift_table": "modulation",
    "norm2.": "norm3.",
    "attn1.to_q.": "self_attn.q.",
    "attn1.to_k.": "self_attn.k.",
    "attn1.to_v.": "self_attn.v.",
    "attn1.to_out.0.": "self_attn.o.",
    "attn1.norm_q.": "self_attn.norm_q.",
    "attn1.norm_k.": "self_attn.norm_k.",
    "attn1.router.": "self_attn.router.",
    "attn2.to_q.": "cross_attn.q.",
    "attn2.to_k.": "cross_attn.k.",
    "attn2.to_v.": "cross_attn.v.",
    "attn2.to_out.0.": "cross_attn.o.",
    "attn2.norm_q.": "cross_attn.norm_q.",
    "attn2.norm_k.": "cross_attn.norm_k.",
    "attn2.add_k_proj.": "cross_attn.k_img.",
    "attn2.add_v_proj.": "cross_attn.v_img.",
    "attn2.norm_added_k.": "cross_attn.norm_k_img.",
    "ffn.net.0.proj.": "ffn.0.",
    "ffn.net.2.": "ffn.2.",
}
_IN_BLOCK = re.compile(r"(blocks\.\d+\.)(.*)")


def wan_name(diffusers_name: str) -> str | None:
    """blocks.0.attn1.to_q.weight → blocks.0.self_attn.q.weight; None for a name that is not diffusers'."""
    match = _IN_BLOCK.fullmatch(diffusers_name)
    prefix, name, table = (match[1], match[2], _BLOCK) if match else ("", diffusers_name, _MODEL)
    for theirs, own in table.items():
        if name.startswith(theirs):
            return prefix + own + name.removeprefix(theirs)
    return None
