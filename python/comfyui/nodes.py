"""The nodes: shots, prompts of shots, adapters, settings, and MoGA in a model. See captions.py and patch.py."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import folder_paths
from comfy_api.latest import ComfyExtension, io

import moga
from moga.adapter import Adapter, load_adapter, load_folder
from moga.shots import latent_shot_frames, pixel_frames

from . import captions, patch

CATEGORY = "MoGA"
ADAPTERS = "moga"  # ComfyUI's folder models/moga

ShotsType = io.Custom("MOGA_SHOTS")  # latent frames of each shot, a tuple
AdapterType = io.Custom("MOGA_ADAPTER")
SettingsType = io.Custom("MOGA_SETTINGS")  # a moga.Config


def register_folder() -> None:
    """models/moga, next to other folders of that name in extra_model_paths.yaml."""
    folder_paths.add_model_folder_path(ADAPTERS, str(Path(folder_paths.models_dir) / ADAPTERS))
    paths, _ = folder_paths.folder_names_and_paths[ADAPTERS]
    folder_paths.folder_names_and_paths[ADAPTERS] = (paths, {".safetensors"})


class Shots(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGAShots",
            display_name="MoGA Shots",
            category=CATEGORY,
            description="The timeline of a video: how many frames each shot has.",
            inputs=[
                io.String.Input(
                    "frames",
                    default="41, 40",
                    multiline=True,
                    tooltip="Frames of each shot, for example: 41, 40. Cuts move to the nearest latent frame.",
                ),
            ],
            outputs=[
                ShotsType.Output(display_name="shots"),
                io.Int.Output(
                    display_name="length", tooltip="Frames of the video, for the node that makes the latent."
                ),
            ],
        )

    @classmethod
    def execute(cls, frames: str) -> io.NodeOutput:
        words = [word for word in re.split(r"[\s,;]+", frames) if word]
        wrong = [word for word in words if not word.isdecimal()]
        if wrong or not words:
            raise ValueError(f"moga: frames = {frames!r}: expected numbers of frames, for example: 41, 40")
        shots = tuple(latent_shot_frames([int(word) for word in words]))
        length = pixel_frames(sum(shots))
        asked = sum(map(int, words))
        if length != asked:
            logging.info("moga: %d frames in %d shots become %d", asked, len(shots), length)
        return io.NodeOutput(shots, length)


class ShotPrompts(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        prompts = io.Autogrow.TemplatePrefix(io.Conditioning.Input("shot"), prefix="shot", min=1, max=64)
        return io.Schema(
            node_id="MoGAShotPrompts",
            display_name="MoGA Shot Prompts",
            category=CATEGORY,
            description="One conditioning from a prompt per shot. Each shot sees its own prompt only.",
            inputs=[ShotsType.Input("shots"), io.Autogrow.Input("prompts", template=prompts)],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, shots: tuple[int, ...], prompts: io.Autogrow.Type) -> io.NodeOutput:
        ordered = [prompts[name] for name in sorted(prompts, key=lambda name: int(name.removeprefix("shot")))]
        _check_count(len(ordered), shots)
        return io.NodeOutput(captions.shot_conditioning(ordered))


class EncodeShots(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGAEncodeShots",
            display_name="MoGA Encode Shots",
            category=CATEGORY,
            description="Encodes a script: a paragraph per shot. Each shot sees its own paragraph only.",
            inputs=[
                io.Clip.Input("clip"),
                ShotsType.Input("shots"),
                io.String.Input(
                    "text",
                    multiline=True,
                    dynamic_prompts=True,
                    tooltip="A prompt for each shot, with a blank line between them.",
                ),
                io.String.Input(
                    "global_prompt",
                    multiline=True,
                    dynamic_prompts=True,
                    default="",
                    optional=True,
                    tooltip="Written in front of the prompt of each shot: what all shots share.",
                ),
            ],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, clip: io.Clip.Type, shots: tuple[int, ...], text: str, global_prompt: str = "") -> io.NodeOutput:
        prompts = captions.paragraphs(text)
        _check_count(len(prompts), shots)
        shared = " ".join(global_prompt.split())
        prompts = [f"{shared} {prompt}" if shared else prompt for prompt in prompts]
        return io.NodeOutput(captions.shot_conditioning(captions.encoded(clip, prompts)))


def _check_count(prompts: int, shots: tuple[int, ...]) -> None:
    if prompts != len(shots):
        raise ValueError(f"moga: {prompts} prompts for {len(shots)} shots, expected one for each")


class LoadAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGALoadAdapter",
            display_name="MoGA Load Adapter",
            category=CATEGORY,
            description="Routers, settings and LoRA from moga calibrate --adapter or moga train, in models/moga.",
            inputs=[io.Combo.Input("adapter_name", options=folder_paths.get_filename_list(ADAPTERS))],
            outputs=[AdapterType.Output(display_name="adapter")],
        )

    @classmethod
    def fingerprint_inputs(cls, adapter_name: str) -> tuple[str, int]:
        path = Path(folder_paths.get_full_path_or_raise(ADAPTERS, adapter_name))
        return str(path), path.stat().st_mtime_ns

    @classmethod
    def execute(cls, adapter_name: str) -> io.NodeOutput:
        path = Path(folder_paths.get_full_path_or_raise(ADAPTERS, adapter_name))
        of_folder = (path.parent / "config.json").is_file()  # of moga calibrate --out or moga.diffusers.save
        return io.NodeOutput(load_folder(path.parent) if of_folder else load_adapter(path))


class Settings(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        windows = moga.Windows()

        def number(name: str, default: int, least: int, tooltip: str) -> io.Int.Input:
            return io.Int.Input(name, default=default, min=least, max=4096, tooltip=tooltip)

        return io.Schema(
            node_id="MoGASettings",
            display_name="MoGA Settings",
            category=CATEGORY,
            description="Settings of the attention, instead of those in an adapter.",
            inputs=[
                number("groups", 5, 0, "Routed groups, as many as the adapter's routers have. 0: no routed groups."),
                io.Combo.Input(
                    "combine",
                    options=["mean", "lse"],
                    tooltip="mean: as in the paper; lse: one softmax over all branches.",
                ),
                io.Combo.Input(
                    "gate",
                    options=["probability", "straight_through", "none"],
                    tooltip="What scales the output of routed groups.",
                ),
                io.Boolean.Input(
                    "windows", default=True, tooltip="Groups of a window of the frame and a run of frames."
                ),
                number("window_rows", windows.rows, 1, "Windows of a frame from top to bottom."),
                number("window_columns", windows.columns, 1, "Windows of a frame from left to right."),
                number(
                    "run_frames", windows.run_frames, 1, "Most latent frames of a run; a shot is cut into equal runs."
                ),
                number("boundary_frames", windows.boundary_frames, 0, "Latent frames that a window sees beyond a cut."),
                io.Boolean.Input("frames", default=True, tooltip="Each latent frame is a group."),
                io.String.Input(
                    "full_layers", default="", tooltip="Blocks that keep full attention, for example: 0, 1, 29."
                ),
            ],
            outputs=[SettingsType.Output(display_name="settings")],
        )

    @classmethod
    def execute(
        cls,
        groups: int,
        combine: str,
        gate: str,
        windows: bool,
        window_rows: int,
        window_columns: int,
        run_frames: int,
        boundary_frames: int,
        frames: bool,
        full_layers: str,
    ) -> io.NodeOutput:
        layers = [word for word in re.split(r"[\s,;]+", full_layers) if word]
        if not all(word.isdecimal() for word in layers):
            raise ValueError(f"moga: full_layers = {full_layers!r}: expected numbers of blocks, for example: 0, 1, 29")
        config = moga.Config(
            routed=groups > 0,
            window=windows,
            frame=frames,
            groups=max(groups, 1),
            combine=combine,
            gate=gate,
            windows=moga.Windows(window_rows, window_columns, run_frames, boundary_frames),
            full_layers=tuple(int(word) for word in layers),
        )
        return io.NodeOutput(config)


class Attention(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MoGAAttention",
            display_name="MoGA Attention",
            category=CATEGORY,
            description="Replaces self-attention of a Wan model by MoGA, with the settings and routers of an adapter.",
            inputs=[
                io.Model.Input("model"),
                ShotsType.Input("shots", optional=True, tooltip="Without shots the video is one shot."),
                AdapterType.Input("adapter", optional=True, tooltip="Routers, settings and LoRA for this model."),
                SettingsType.Input("settings", optional=True, tooltip="Instead of the settings in the adapter."),
                io.Float.Input(
                    "lora_strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    optional=True,
                    tooltip="Strength of the LoRA in the adapter.",
                ),
                io.Int.Input(
                    "full_steps",
                    default=0,
                    min=0,
                    max=1000,
                    optional=True,
                    tooltip="First steps of the sampler that run with full attention.",
                ),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        shots: tuple[int, ...] | None = None,
        adapter: Adapter | None = None,
        settings: moga.Config | None = None,
        lora_strength: float = 1.0,
        full_steps: int = 0,
    ) -> io.NodeOutput:
        if adapter is None and settings is None:
            raise ValueError("moga: connect an adapter (MoGA Load Adapter), settings (MoGA Settings) or both")
        config = settings or adapter.config
        adapter = adapter or Adapter(config)
        return io.NodeOutput(patch.apply(model, config, adapter, shots or (), full_steps, lora_strength))


class MogaExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [Shots, ShotPrompts, EncodeShots, LoadAdapter, Settings, Attention]
