"""Groups of the batches that a model runs. A sampler repeats its sizes in every step, so the last ones are kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from moga.config import Config
from moga.grouping import Device, Grouping, StaticGroups, static_groups, text_groups
from moga.layout import Layout

_KEPT = 4


class BatchGroups:
    """Groups that follow from a layout, made when they are first asked for."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._kept: dict[Hashable, Any] = {}

    def static(self, layout: Layout, device: Device) -> StaticGroups:
        """Windows, frames and full groups of visual attention."""
        key = ("static", layout, str(device))
        return self._kept_or(key, lambda: static_groups(layout, self._config, device))

    def text(self, layout: Layout, text_lengths: Sequence[int], device: Device) -> Grouping:
        """Cross-attention by shot; text tokens of the caption of each shot of all videos."""
        key = ("text", layout, tuple(text_lengths), str(device))
        return self._kept_or(key, lambda: text_groups(layout, text_lengths, device))

    def _kept_or(self, key: Hashable, make: Callable[[], Any]) -> Any:
        groups = self._kept.pop(key, None)
        if groups is None:
            groups = make()
        self._kept[key] = groups  # the last one is the newest
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return groups
