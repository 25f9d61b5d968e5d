"""MoGA adapters that are malformed, of another kind or of another model. Each case writes a file for the small model."""

import json

from damage import HTML, case
from lora import DOWN, INFINITY, NAN, PAIR
from safetensors_files import entry, read_weights, write_weights


def cases(good):
    """Changes of the file `good`, which fits."""
    own, own_metadata, values = read_weights(good)

    def written(entries, metadata, changed_values=()):
        kept = {name: value for name, value in values.items() if entries.get(name) == own[name]}
        return lambda path: write_weights(path, entries, metadata, kept | dict(changed_values))

    def without_tensors(*names):
        return written({name: tensor for name, tensor in own.items() if name not in names}, own_metadata)

    def with_tensors(tensors):
        return written(own | tensors, own_metadata)

    def with_values(name, value):
        return written(own, own_metadata, {name: value})

    def metadata(key, change):
        value = change(json.loads(own_metadata[key]))
        return written(own, own_metadata | {key: value if isinstance(value, str) else json.dumps(value)})

    def without(*keys):
        return written(own, {key: value for key, value in own_metadata.items() if key not in keys})

    def attention(**changes):
        return metadata("moga.attention", lambda own: own | changes)

    def base(**changes):
        return metadata("moga.base", lambda own: own | changes)

    def content(data):
        return lambda path: path.write_bytes(data)

    def cut(size):
        return content(good.read_bytes()[:size])

    router = "diffusion_model.blocks.1.self_attn.router."
    weight, bias = router + "weight", router + "bias"
    nothing = "is no MoGA adapter"
    return [
        case("no base", without("moga.base"), nothing, "moga.base"),
        case("no attention", without("moga.attention"), nothing, "moga.attention"),
        case("no metadata", without("moga.base", "moga.attention"), nothing),
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
        case("windows of no rows", attention(windows={"rows": 0}), "moga.attention", "windows"),
        case("windows that are a number", attention(windows=2), "moga.attention", "windows"),
        case("a full layer that is not there", attention(full_layers=[9]), "full_layers"),
        case("a router is missing", without_tensors(weight, bias), "has no blocks.1.self_attn.router"),
        case("a bias is missing", without_tensors(bias), "has no blocks.1.self_attn.router.bias"),
        case("a router of another width", with_tensors({weight: entry([5, 25])}), "router.weight", "[5, 25]"),
        case("a router flattened", with_tensors({weight: entry([120])}), "router.weight", "[120]"),
        case("a router of whole numbers", with_tensors({weight: entry(own[weight]["shape"], "I32")}), "router.weight", "Int"),
        case("a router too many", with_tensors({"diffusion_model.blocks.9.self_attn.router.bias": entry([5])}), "blocks.9.self_attn.router.bias"),
        case("a key that is not known", with_tensors({"surplus": entry([5])}), "surplus", "not understood"),
        case("half an update", with_tensors({DOWN: entry([4, 24])}), DOWN, "partner"),
        case("an update of another width", with_tensors(PAIR), "[4, 384]"),
        case("header cut off", cut(200), "truncated"),
        case("data cut off", cut(-8), "truncated"),
        case("empty", content(b""), "too few for a header"),
        case("a web page", content(HTML), "is this a safetensors file"),
        case("a pickle", content(b"\x80\x02}q\x00." + bytes(100)), "is a PyTorch pickle"),
        case("no file", lambda path: None, "No such file"),
        case("NaN", with_values(bias, NAN), "router.bias", "NaN"),
        case("infinity", with_values(weight, INFINITY), "router.weight", "infinity"),
    ]  # fmt: skip
