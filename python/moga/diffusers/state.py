"""What the attention processors of one transformer share: the settings, and the groups of the batch under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from moga.config import Config
from moga.grouping import Grouping, StaticGroups, static_groups, text_groups
from moga.layout import Layout

WAN_TEXT_TOKENS = 512  # of a caption


@dataclass
class State:
    """config: settings; shot_frames: latent frames of each shot, empty: one shot; text_tokens: of each caption;
    full: whether all blocks run full attention for now."""

    config: Config
    shot_frames: tuple[int, ...] = ()
    text_tokens: int = WAN_TEXT_TOKENS
    full: bool = False
    layout: Layout | None = None
    groups: StaticGroups | None = None
    text: Grouping | None = None  # captions of shots
    losses: list[Tensor] = field(default_factory=list)  # of the blocks of a training step
    made_for: tuple[Any, ...] = ()

    def prepare(self, videos: int, frames: int, rows: int, columns: int, device: torch.device) -> None:
        """Makes the groups of a batch, unless those of the last one serve."""
        self.losses = []
        wanted = (videos, frames, rows, columns, device, self.shot_frames, self.text_tokens)
        if self.made_for == wanted:
            return
        if self.shot_frames and sum(self.shot_frames) != frames:
            raise ValueError(
                f"moga: shots have {sum(self.shot_frames)} latent frames in all, the video has {frames}; "
                "moga.diffusers.set_shots sets them"
            )
        self.layout = Layout.of(frames, rows, columns, self.shot_frames, videos)
        self.groups = static_groups(self.layout, self.config, device)
        self.text = text_groups(self.layout, [self.text_tokens] * self.layout.shots, device)
        self.made_for = wanted

    @property
    def shots(self) -> int:
        """Of each video."""
        return len(self.shot_frames) or 1
