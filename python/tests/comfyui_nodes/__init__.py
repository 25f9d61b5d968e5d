"""A node for tests: the text encoder of Wan as ComfyUI builds it, with sizes for a test and seeded random weights.

ComfyUI knows UMT5-XXL in one size only. Everything but the sizes is ComfyUI's: classes, tokenizer, padding, masks.
"""

from pathlib import Path

import comfy.sd
import comfy.text_encoders.wan as wan
import folder_paths
import sentencepiece
import torch
from comfy_api.latest import ComfyExtension, io

SIZES = dict(d_ff=16, d_kv=8, num_heads=2, num_layers=1)


def tiny_clip(tokenizer: bytes, vocabulary: int):
    class Target:
        params: dict = {}
        clip = wan.te(dtype_t5=torch.float32)
        tokenizer = wan.WanT5Tokenizer

    options = {"umt5xxl_model_config": SIZES | {"vocab_size": vocabulary}}
    clip = comfy.sd.CLIP(Target, tokenizer_data={"spiece_model": tokenizer}, model_options=options)
    generator = torch.Generator().manual_seed(7)
    for parameter in clip.cond_stage_model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return clip


class TestCLIPLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(node_id="TestCLIPLoader", inputs=[io.String.Input("clip_name")], outputs=[io.Clip.Output()])

    @classmethod
    def execute(cls, clip_name: str) -> io.NodeOutput:
        data = (Path(folder_paths.models_dir) / "text_encoders" / clip_name).read_bytes()
        vocabulary = sentencepiece.SentencePieceProcessor(model_proto=data).get_piece_size()
        return io.NodeOutput(tiny_clip(data, vocabulary))


class TestNodes(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [TestCLIPLoader]


async def comfy_entrypoint() -> TestNodes:
    return TestNodes()
