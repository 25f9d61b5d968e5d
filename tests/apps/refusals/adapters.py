"""LoRA files and MoGA adapters for the model of text to video that are malformed, of another kind or of another model."""

import json
import math
import struct

from folders import entry, read_header, write_header, write_weights
from weights import HTML, case

LAYER = "diffusion_model.blocks.0.self_attn.q"
DOWN, UP, ALPHA = LAYER + ".lora_down.weight", LAYER + ".lora_up.weight", LAYER + ".alpha"
PAIR = {DOWN: entry([4, 384]), UP: entry([384, 4])}
NAN = struct.pack("<f", math.nan)


def pair_of(layer, rank=4, width=384):
    return {layer + ".lora_A.weight": entry([rank, width]), layer + ".lora_B.weight": entry([width, rank])}


def lora():
    """Each writes `path`."""

    def file(tensors, metadata=None, values=None):
        return lambda path: write_weights(path, tensors, metadata, values)

    def header(text, size=0):
        return lambda path: write_header(path, text, size)

    def content(data):
        return lambda path: path.write_bytes(data)

    def with_pair(**more):
        return file(PAIR | {name: value for name, value in more.items()})

    def peft(config):
        def change(path):
            path.mkdir()
            write_weights(path / "adapter_model.safetensors", pair_of("base_model.model.blocks.0.attn1.to_q"))
            (path / "adapter_config.json").write_text(config)

        return change

    def cut(size):
        def change(path):
            write_weights(path, PAIR)
            with open(path, "r+b") as opened:
                opened.truncate(size)

        return change

    half = {DOWN: entry([4, 384])}
    return [
        case("no tensors", file({}), "none of its 0 tensors"),
        case("weights of a whole model", file({"blocks.0.attn1.to_q.weight": entry([384, 384])}), "blocks.0.attn1.to_q.weight", "low-rank"),
        case("a key that is not known", file(PAIR | {LAYER + ".lora_C.weight": entry([4, 4])}), LAYER + ".lora_C.weight", "not understood"),
        case("a name with an escape code", file(PAIR | {"x\x1b[2J": entry([1])}), r"x\x1b[2J"),
        case("a factor without the other", file(half), DOWN, "has no partner"),
        case("the other factor alone", file({UP: entry([384, 4])}), UP, "has no partner"),
        case("ranks that differ", file({DOWN: entry([4, 384]), UP: entry([384, 5])}), "expected [rank, in] and [out, rank]"),
        case("rank 0", file({DOWN: entry([0, 384]), UP: entry([384, 0])}), "blocks.0.self_attn.q", "[0, 384]"),
        case("factors that are numbers", file({DOWN: entry([]), UP: entry([])}), "blocks.0.self_attn.q"),
        case("another width in", file({DOWN: entry([4, 5120]), UP: entry([384, 4])}), "[4, 5120]", "weight of [384, 384]"),
        case("another width out", file({DOWN: entry([4, 384]), UP: entry([5120, 4])}), "[5120, 4]", "weight of [384, 384]"),
        case("whole numbers", file({DOWN: entry([4, 384], "I32"), UP: entry([384, 4])}), DOWN, "holds Int"),
        case("bytes", file({DOWN: entry([4, 384]), UP: entry([384, 4], "U8")}), UP, "holds Byte"),
        case("NaN", file(PAIR, values={UP: NAN}), UP, "NaN"),
        case("infinity", file(PAIR, values={DOWN: struct.pack("<f", math.inf)}), DOWN, "infinity"),
        case("an alpha of NaN", file(PAIR | {ALPHA: entry([])}, values={ALPHA: NAN}), ALPHA, "finite"),
        case("two alphas", file(PAIR | {ALPHA: entry([2])}), ALPHA, "expected one number"),
        case("an alpha alone", file(PAIR | {"diffusion_model.blocks.1.self_attn.q.alpha": entry([])}), "alpha without factors of blocks.1.self_attn.q"),
        case("a block that is not there", file(pair_of("transformer.blocks.30.attn1.to_q")), "not in the model: blocks.30.attn1.to_q"),
        case("attention to an image", file(pair_of("diffusion_model.blocks.0.cross_attn.k_img")), "blocks.0.cross_attn.k_img"),
        case("a layer twice", file(PAIR | pair_of("transformer.blocks.0.attn1.to_q")), "the same layer"),
        case("a norm", file(pair_of("diffusion_model.blocks.0.norm3")), "blocks.0.norm3", "no product"),
        case("a difference of another shape", file(PAIR | {"diffusion_model.head.head.diff": entry([16, 31])}), "head.head.diff", "[16, 31]"),
        case("a difference of no bias", file(PAIR | {"diffusion_model.head.modulation.diff_b": entry([8])}), "head.modulation.diff_b", "no bias"),
        case("a second expert", file(pair_of("transformer_2.blocks.0.attn1.to_q")), "second expert", "transformer_2.blocks.0.attn1.to_q"),
        case("metadata that is no JSON", file(PAIR, {"lora_adapter_metadata": "{"}), "lora_adapter_metadata"),
        case("an alpha that is text", file(PAIR, {"lora_adapter_metadata": '{"lora_alpha": "8"}'}), "lora_alpha", "expected a number"),
        case("PEFT's config cut off", peft('{"r": 4,'), "adapter_config.json"),
        case("PEFT's config with an alpha of text", peft('{"lora_alpha": "8"}'), "adapter_config.json", "lora_alpha"),
        case("PEFT's config with DoRA", peft('{"use_dora": true}'), "adapter_config.json", "DoRA"),
        case("a folder without weights", lambda path: path.mkdir(), "contains no .safetensors file"),
        case("no file", lambda path: None, "No such file"),
        case("empty", content(b""), "too few for a header"),
        case("a web page", content(HTML), "is this a safetensors file"),
        case("a pickle", content(b"PK\x03\x04" + bytes(100)), "is a PyTorch pickle"),
        case("a pointer of Git LFS", content(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        case("header cut off", cut(60), "truncated"),
        case("data cut off", cut(4000), UP, "truncated"),
        case("header is no JSON", header("low rank"), "header"),
        case("header is a number", header("17"), "header"),
        case("header without offsets", header(json.dumps({DOWN: {"dtype": "F32", "shape": [4, 384]}})), DOWN, "data_offsets"),
    ]  # fmt: skip


def moga(good):
    """`good`: an adapter of the small model. Each writes `path` with a change of it."""

    def tensors(change, metadata=lambda own: own):
        def write(path):
            entries, own = read_header(good)
            data = good.read_bytes()
            begin = len(data) - max(tensor["data_offsets"][1] for tensor in entries.values())
            values = {name: data[begin + tensor["data_offsets"][0] : begin + tensor["data_offsets"][1]]
                      for name, tensor in entries.items()}  # fmt: skip
            for tensor in entries.values():
                del tensor["data_offsets"]
            change(entries)
            kept = {name: value for name, value in values.items()
                    if name in entries and len(value) == 4 * math.prod(entries[name]["shape"]) and entries[name]["dtype"] == "F32"}  # fmt: skip
            write_weights(path, entries, metadata(own), kept)

        return write

    def keep(entries):
        pass

    def metadata(key, change):
        def changed(own):
            value = change(json.loads(own[key]))
            return own | {key: value if isinstance(value, str) else json.dumps(value)}

        return tensors(keep, changed)

    def without(key):
        return tensors(keep, lambda own: {name: value for name, value in own.items() if name != key})

    def attention(**changes):
        return metadata("moga.attention", lambda own: own | changes)

    def base(**changes):
        return metadata("moga.base", lambda own: own | changes)

    def cut(size):
        return lambda path: path.write_bytes(good.read_bytes()[:size])

    def content(data):
        return lambda path: path.write_bytes(data)

    router = "diffusion_model.blocks.1.self_attn.router."
    weight, bias = router + "weight", router + "bias"
    nothing = "is no MoGA adapter"
    return [
        case("no base", without("moga.base"), nothing, "moga.base"),
        case("no attention", without("moga.attention"), nothing, "moga.attention"),
        case("no metadata", tensors(keep, lambda own: {}), nothing),
        case("a LoRA", lambda path: write_weights(path, PAIR), nothing, "--lora"),
        case("a base of more blocks", base(blocks=30), "30 blocks", "the model is"),
        case("a base of another width", base(width=1536), "width 1536"),
        case("a base of another class", base(**{"class": "MogaMMDiTTransformer3DModel"}), "MogaMMDiTTransformer3DModel"),
        case("a base of other tensors", base(hash="0" * 16), "other tensors"),
        case("a base without a hash", metadata("moga.base", lambda own: {"class": own["class"]}), "an adapter for"),
        case("a base that is a list", metadata("moga.base", lambda own: "[]"), "moga.base"),
        case("a base cut off", metadata("moga.base", lambda own: '{"class": '), "moga.base"),
        case("attention cut off", metadata("moga.attention", lambda own: '{"groups": '), "moga.attention"),
        case("attention that is a list", metadata("moga.attention", lambda own: "[]"), "moga.attention"),
        case("a misspelt key of attention", attention(group=3), "moga.attention", "group"),
        case("no groups", attention(groups=0), "moga.attention", "groups"),
        case("groups that are text", attention(groups="five"), "moga.attention", "groups"),
        case("groups beyond reason", attention(groups=10**9), "moga.attention", "groups"),
        case("more groups than the routers have", attention(groups=7), "router", "7"),
        case("another kind", attention(kind="sliding"), "moga.attention", "sliding"),
        case("windows of no rows", attention(windows={"rows": 0}), "moga.attention", "rows"),
        case("windows that are a number", attention(windows=2), "moga.attention", "windows"),
        case("a full layer that is not there", attention(full_layers=[9]), "full_layers"),
        case("a router is missing", tensors(lambda all: (all.pop(weight), all.pop(bias))), "has no blocks.1.self_attn.router"),
        case("a bias is missing", tensors(lambda all: all.pop(bias)), "has no blocks.1.self_attn.router.bias"),
        case("a router of another width", tensors(lambda all: all[weight].update(shape=[5, 25])), "router.weight", "[5, 25]"),
        case("a router flattened", tensors(lambda all: all[weight].update(shape=[120])), "router.weight", "[120]"),
        case("a router of whole numbers", tensors(lambda all: all[weight].update(dtype="I32")), "router.weight", "Int"),
        case("a router too many", tensors(lambda all: all.update({"diffusion_model.blocks.9.self_attn.router.bias": entry([5])})), "blocks.9.self_attn.router.bias"),
        case("a key that is not known", tensors(lambda all: all.update({"surplus": entry([5])})), "surplus", "not understood"),
        case("half an update", tensors(lambda all: all.update({DOWN: entry([4, 24])})), DOWN, "partner"),
        case("an update of another width", tensors(lambda all: all.update({DOWN: entry([4, 384]), UP: entry([384, 4])})), "[4, 384]"),
        case("header cut off", cut(200), "truncated"),
        case("data cut off", cut(-8), "truncated"),
        case("empty", content(b""), "too few for a header"),
        case("a web page", content(HTML), "is this a safetensors file"),
        case("a pickle", content(b"\x80\x02}q\x00." + bytes(100)), "is a PyTorch pickle"),
        case("no file", lambda path: None, "No such file"),
        case("a NaN", tensors(lambda all: all[bias].update(dtype="F64")), "router.bias"),
    ]  # fmt: skip
