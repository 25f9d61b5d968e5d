"""Shots of a video: latent frames of shots that are given in pixel frames."""

from __future__ import annotations

from collections.abc import Sequence

WAN_TEXT_TOKENS = 512  # of a caption
WAN_TIME_STRIDE = 4  # pixel frames per latent frame, after the first


def latent_shot_frames(shot_frames: Sequence[int], stride: int = WAN_TIME_STRIDE) -> list[int]:
    """Latent frames of shots given in pixel frames, each at least 1: a cut after p pixel frames comes after
    1 + round((p - 1) / stride) latent frames. [32, 32, 32, 32] → [9, 8, 8, 8]."""
    if not shot_frames or min(shot_frames) < 1:
        raise ValueError(f"moga: shot_frames = {list(shot_frames)}, expected 1 or more pixel frames for each shot")
    lengths: list[int] = []
    end = pixels = 0
    for frames in shot_frames:
        pixels += frames
        cut = max(1 + (2 * (pixels - 1) + stride) // (2 * stride), end + 1)
        lengths.append(cut - end)
        end = cut
    return lengths


def pixel_frames(latent_frames: int, stride: int = WAN_TIME_STRIDE) -> int:
    """Pixel frames of a video: 1 + stride · (latent_frames - 1)."""
    return 1 + stride * (latent_frames - 1)
