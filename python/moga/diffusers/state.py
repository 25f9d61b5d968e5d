"""What the attention processors of one transformer share: the settings, and the groups of the batch under way."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from moga.batch_groups import BatchGroups
from moga.config import Config
from moga.grouping import Grouping, StaticGroups
from moga.layout import Layout
from moga.shots import WAN_TEXT_TOKENS


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

    def __post_init__(self) -> None:
        self._batches = BatchGroups(self.config)

    def prepare(self, videos: int, frames: int, rows: int, columns: int, device: torch.device) -> None:
        """Makes the groups of a batch."""
        self.losses = []
        if self.shot_frames and sum(self.shot_frames) != frames:
            raise ValueError(
                f"moga: shots have {sum(self.shot_frames)} latent frames in all, the video has {frames}; "
                "moga.diffusers.set_shots sets them"
            )
        self.layout = Layout.of(frames, rows, columns, self.shot_frames, videos)
        self.groups = self._batches.static(self.layout, device)
        self.text = self._batches.text(self.layout, [self.text_tokens] * self.layout.shots, device)

    @property
    def shots(self) -> int:
        """Of each video."""
        return len(self.shot_frames) or 1
