"""Layout: which tokens of a packed batch belong to which video, latent frame, row, column and shot.

All tokens of all videos are one tensor [N, C], video after video, each in (frame, row, column) order, without padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Video:
    """Sizes of one video in tokens: `frames` latent frames of `rows` × `columns`. `shot_frames`: latent frames of each
    shot, which add up to `frames`; empty: one shot."""

    frames: int
    rows: int
    columns: int
    shot_frames: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "shot_frames", tuple(self.shot_frames))
        if min(self.frames, self.rows, self.columns, *self.shot_frames) < 1:
            raise ValueError(f"{self}: every size must be 1 or more")
        if self.shot_frames and sum(self.shot_frames) != self.frames:
            raise ValueError(f"shots have {sum(self.shot_frames)} latent frames in all, the video has {self.frames}")

    @property
    def tokens(self) -> int:
        return self.frames * self.rows * self.columns

    @property
    def shots(self) -> int:
        return len(self.shot_frames) or 1


@dataclass(frozen=True)
class Layout:
    """The videos of a packed batch."""

    videos: tuple[Video, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "videos", tuple(self.videos))
        if not self.videos:
            raise ValueError("a layout has at least one video")

    @staticmethod
    def of(frames: int, rows: int, columns: int, shot_frames: Sequence[int] = (), videos: int = 1) -> Layout:
        """`videos` videos of one shape."""
        return Layout((Video(frames, rows, columns, tuple(shot_frames)),) * videos)

    @property
    def tokens(self) -> int:
        """N"""
        return sum(video.tokens for video in self.videos)

    @property
    def shots(self) -> int:
        """Shots of all videos."""
        return sum(video.shots for video in self.videos)

    def numbers(self) -> list[int]:
        """As operators take it: frames, rows, columns, number of shots and the frames of each, for every video."""
        return [n for v in self.videos for n in (v.frames, v.rows, v.columns, len(v.shot_frames), *v.shot_frames)]
