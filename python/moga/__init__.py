"""Mixture-of-Groups Attention (arXiv 2510.18692) for long video generation, in PyTorch.

    layout = moga.Layout.of(frames=21, rows=30, columns=52, shot_frames=[9, 12])
    attention = moga.VisualAttention(width=1536, config=moga.Config(groups=5))
    groups = attention.groups(layout, device)
    output, balance_loss = attention(x, q, k, v, groups)    # x [N, C]; q, k, v [N, H, D]

Operators are in the namespace torch.ops.moga. moga.diffusers puts this attention into a Wan pipeline of diffusers.
"""

from moga import operators  # noqa: F401  (registers gradients and shapes)
from moga._library import KERNELS
from moga.adapter import Adapter, load_adapter
from moga.attention import VisualAttention, attend, attend_mean, attend_union, default_backend
from moga.config import Config, Windows
from moga.grouping import (
    Grouping,
    StaticGroups,
    frame_groups,
    full_groups,
    routed_groups,
    static_groups,
    text_groups,
    window_groups,
)
from moga.layout import Layout, Video
from moga.router import Router, Routing, balance_loss
from moga.shots import latent_shot_frames

__version__ = "0.1.0"

__all__ = [
    "KERNELS",
    "Adapter",
    "Config",
    "Grouping",
    "Layout",
    "Router",
    "Routing",
    "StaticGroups",
    "Video",
    "VisualAttention",
    "Windows",
    "attend",
    "attend_mean",
    "attend_union",
    "balance_loss",
    "default_backend",
    "frame_groups",
    "full_groups",
    "latent_shot_frames",
    "load_adapter",
    "routed_groups",
    "static_groups",
    "text_groups",
    "window_groups",
]
