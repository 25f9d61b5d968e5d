"""MoGA for ComfyUI: Mixture-of-Groups Attention, shots and a prompt per shot for Wan2.1 and Wan2.2. See README.md."""

try:
    import moga  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"MoGA nodes need the Python package moga in the environment of ComfyUI ({error}); "
        "README.md says how to install it"
    ) from error

from .nodes import MogaExtension, register_folder


async def comfy_entrypoint() -> MogaExtension:
    """ComfyUI calls this to load the nodes."""
    register_folder()
    return MogaExtension()


__all__ = ["comfy_entrypoint"]
