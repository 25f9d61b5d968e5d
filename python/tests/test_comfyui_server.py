"""ComfyUI's own server, headless on the CPU, executes the example workflows over its API, with tiny models."""

import asyncio
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("diffusers")
aiohttp = pytest.importorskip("aiohttp")

import comfyui_models as tiny
from safetensors.torch import save_file

pytestmark = pytest.mark.skipif(not tiny.COMFYUI, reason=tiny.SKIP)

WORKFLOWS = tiny.NODES / "example_workflows"
SECONDS = 300  # for a start or a workflow, on two cores


class Server:
    def __init__(self, base):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = base / "server.log"
        command = [sys.executable, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(self.port)]
        command += ["--base-directory", str(base), "--database-url", "sqlite:///:memory:", "--disable-auto-launch"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=tiny.COMFYUI, stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + SECONDS
        while True:
            try:
                self.get("/system_stats")
                return
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
                time.sleep(0.5)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return json.load(answer)

    def run(self, workflow, on_message=lambda kind, data: None):
        """Executes a workflow in API format; the messages of the server, and what it made."""
        return asyncio.run(asyncio.wait_for(self._run(workflow, on_message), SECONDS))

    async def _run(self, workflow, on_message):
        kinds = []
        client = aiohttp.ClientSession(f"http://127.0.0.1:{self.port}")
        async with client as session, session.ws_connect("/ws?clientId=test") as messages:
            async with session.post("/prompt", json={"prompt": workflow, "client_id": "test"}) as answer:
                accepted = await answer.json()
                assert answer.status == 200, accepted
            async for message in messages:
                if message.type != aiohttp.WSMsgType.TEXT:
                    continue
                kind, data = (json.loads(message.data)[key] for key in ("type", "data"))
                kinds.append((kind, data))
                if on_message(kind, data) == "interrupt":
                    await session.post("/interrupt")
                if kind in ("execution_success", "execution_error", "execution_interrupted"):
                    break
        return kinds, self.get(f"/history/{accepted['prompt_id']}").get(accepted["prompt_id"], {}).get("outputs", {})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("base")
    tiny.use_comfyui()
    for folder in (
        "models/diffusion_models",
        "models/text_encoders",
        "models/vae",
        "models/moga",
        "custom_nodes",
        "input",
    ):
        (base / folder).mkdir(parents=True)
    for name, image in (("t2v", False), ("i2v", True)):
        model = tiny.transformer(image)
        save_file(tiny.wan_weights(model), base / f"models/diffusion_models/{name}.safetensors")
        tiny.save_adapter(base / f"models/moga/{name}.safetensors", model)
    tiny.save_vae(base / "models/vae/vae.safetensors")
    shutil.copy(tiny.ROOT / "tests/pipeline/fixtures/wan/tokenizer/spiece.model", base / "models/text_encoders")
    shutil.copy(tiny.ROOT / "tests/pipeline/fixtures/first.png", base / "input/example.png")
    os.symlink(tiny.NODES, base / "custom_nodes/moga")
    os.symlink(pathlib.Path(__file__).with_name("comfyui_nodes"), base / "custom_nodes/tests")
    running = Server(base)
    running.base = base
    yield running
    running.process.terminate()
    running.process.wait(30)


FILES = {"unet_name": "{}.safetensors", "vae_name": "vae.safetensors", "adapter_name": "{}.safetensors"}


def example(name, model):
    """An example workflow with tiny files, sizes and steps."""
    workflow = json.loads((WORKFLOWS / f"api/{name}.json").read_text())
    for node in workflow.values():
        inputs = node["inputs"]
        for key, file in FILES.items():
            if key in inputs:
                inputs[key] = file.format(model)
        small = {
            "width": 48,
            "height": 32,
            "steps": 4,
            "end_at_step": min(inputs.get("end_at_step", 2), 2),
            "start_at_step": 2,
        }
        if inputs.get("start_at_step") == 0:
            small["start_at_step"] = 0
        if inputs.get("end_at_step", 0) > 1000:
            small["end_at_step"] = inputs["end_at_step"]
        inputs.update({key: value for key, value in small.items() if key in inputs})
        if node["class_type"] == "CLIPLoader":
            node["class_type"], node["inputs"] = "TestCLIPLoader", {"clip_name": "spiece.model"}
        if node["class_type"] == "MoGAShots":
            inputs["frames"] = "5, 4, 4" if model == "t2v" else "5, 4"
    return workflow


def of_type(workflow, name):
    return next(node for node in workflow.values() if node["class_type"] == name)


def errors(messages):
    return [data for kind, data in messages if kind == "execution_error"]


def frames(path):
    import av

    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def saved(server, outputs):
    found = [file for made in outputs.values() for files in made.values() if isinstance(files, list) for file in files]
    return [server.base / "output" / file["subfolder"] / file["filename"] for file in found if isinstance(file, dict)]


@pytest.mark.parametrize("name, model, length", [("moga_text_to_video", "t2v", 13), ("moga_image_to_video", "i2v", 9)])
def test_an_example_workflow_makes_a_video(server, name, model, length):
    messages, outputs = server.run(example(name, model))
    assert not errors(messages)
    steps = [data["value"] for kind, data in messages if kind == "progress"]
    assert {1, 2} <= set(steps)  # of the sampler
    (path,) = saved(server, outputs)
    assert frames(path) == length
    assert "moga: 2 of 2 blocks, 3 groups, windows 2x2 of 2 latent frames" in server.log.read_text()


def test_all_nodes_are_there(server):
    found = {name for name, node in server.get("/object_info").items() if node["category"] == "MoGA"}
    assert found == {
        "MoGAShots",
        "MoGAShotPrompts",
        "MoGAEncodeShots",
        "MoGALoadAdapter",
        "MoGASettings",
        "MoGAAttention",
    }
    assert server.get("/object_info/MoGALoadAdapter")["MoGALoadAdapter"]["input"]["required"]["adapter_name"]


def test_an_interruption_ends_the_sampling_and_the_next_run_succeeds(server):
    workflow = example("moga_text_to_video", "t2v")
    of_type(workflow, "KSampler")["inputs"].update(steps=500, sampler_name="euler", seed=2)
    messages, _ = server.run(workflow, lambda kind, data: "interrupt" if kind == "progress" else None)
    kinds = [kind for kind, _ in messages]
    assert kinds[-1] == "execution_interrupted"
    assert max(data["value"] for kind, data in messages if kind == "progress") < 500
    of_type(workflow, "KSampler")["inputs"].update(steps=2)
    messages, _ = server.run(workflow)
    assert not errors(messages)


def test_errors_reach_the_user_in_a_line(server):
    workflow = example("moga_text_to_video", "t2v")
    of_type(workflow, "MoGALoadAdapter")["inputs"]["adapter_name"] = "i2v.safetensors"
    (error,) = errors(server.run(workflow)[0])
    assert error["node_type"] == "MoGAAttention"
    assert "i2v.safetensors: an adapter for WanTransformer3DModel" in error["exception_message"]
    assert error["exception_message"].strip().endswith("of width 256 with other tensors")
    workflow = example("moga_text_to_video", "t2v")
    of_type(workflow, "ModelSamplingSD3")["inputs"]["model"] = ["1", 0]  # around MoGA Attention
    (error,) = errors(server.run(workflow)[0])
    assert "captions" not in error["node_type"] and "the model that samples has no MoGA" in error["exception_message"]


def test_workflows_of_the_interface_are_those_of_the_api():
    for path in sorted(WORKFLOWS.glob("*.json")):
        interface, api = json.loads(path.read_text()), json.loads((WORKFLOWS / "api" / path.name).read_text())
        shown = sorted(node["type"] for node in interface["nodes"] if not node["type"].startswith("MarkdownNote"))
        assert shown == sorted(node["class_type"] for node in api.values())
        links = sum(isinstance(value, list) for node in api.values() for value in node["inputs"].values())
        assert len(interface["links"]) == links
