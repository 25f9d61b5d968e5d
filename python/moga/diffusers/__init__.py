"""MoGA in Wan pipelines of diffusers: self-attention of Wan2.1 and Wan2.2 transformers, shots, and a caption per shot.

    pipe = WanPipeline.from_pretrained(folder)
    moga.diffusers.apply(pipe.transformer, folder + "/transformer")     # a folder of `moga calibrate`, or a moga.Config
    pipe = moga.diffusers.ShotPipeline(pipe)
    video = pipe(prompt=["A lake by day …", "At night …"], shot_frames=[33, 48]).frames

Works with offloading and LoRA of diffusers. Its context parallelism is refused.
"""

from moga.adapter import Adapter
from moga.diffusers.apply import apply, balance_loss, remove
from moga.diffusers.files import load, save
from moga.diffusers.shots import ShotPipeline, set_shots
from moga.shots import latent_shot_frames

__all__ = [
    "Adapter",
    "ShotPipeline",
    "apply",
    "balance_loss",
    "latent_shot_frames",
    "load",
    "remove",
    "save",
    "set_shots",
]
