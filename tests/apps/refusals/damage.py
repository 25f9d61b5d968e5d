"""A case is (label, change, what the refusal has to say). Damage that the weights of any part may have."""

import json

from safetensors_files import entry

HTML = b"<!DOCTYPE html><html><body>Access to this model is restricted.</body></html>"


def case(label, change, *says):
    return label, change, says


def config(path, *removed, **changes):
    """Of keys of a JSON file."""
    return lambda model: model.json(path, *removed, **changes)


def without(part, *names):
    def change(tensors):
        for name in names:
            del tensors[name]

    return lambda model: model.tensors(part, change)


def surplus(part, **shapes):
    return lambda model: model.tensors(part, lambda all: all.update({name: entry(shapes[name]) for name in shapes}))


def of_shape(part, name, shape_of):
    return lambda model: model.tensors(part, lambda all: all[name].update(shape=shape_of(all[name]["shape"])))


def of_dtype(part, name, dtype):
    return lambda model: model.tensors(part, lambda all: all[name].update(dtype=dtype))


def misfits(part, matrix, vector):
    """Tensors that are not those of the model. `matrix` [out, in] and `vector`: names of two of the part's."""
    says = f"{part}/"
    return [
        case("a tensor is missing", without(part, matrix), says, matrix, "is missing"),
        case("a vector is missing", without(part, vector), says, vector, "is missing"),
        case("two tensors are missing", without(part, matrix, vector), says, "1 more do not fit"),
        case("a row too many", of_shape(part, matrix, lambda s: [s[0] + 1, *s[1:]]), says, matrix, "has shape"),
        case("transposed", of_shape(part, matrix, lambda s: s[::-1]), says, matrix, "has shape"),
        case("flattened", of_shape(part, matrix, lambda s: [s[0] * s[1]]), says, matrix, "has shape"),
        case("a dimension more", of_shape(part, vector, lambda s: [1, *s]), says, vector, "has shape"),
        case("no values", of_shape(part, vector, lambda s: [0]), says, vector, "has shape"),
        case("whole numbers", of_dtype(part, matrix, "I32"), says, matrix, "holds Int"),
        case("bytes", of_dtype(part, matrix, "U8"), says, matrix, "holds Byte"),
        case("truth values", of_dtype(part, vector, "BOOL"), says, vector, "holds Bool"),
        case("a tensor too many", surplus(part, **{"surplus.weight": [8, 8]}), says, "surplus.weight"),
        case("a name with a line end", surplus(part, **{"a\nb": [8]}), says, r"a\nb"),
    ]


def headers(part, vector):
    """Headers that do not describe their file."""

    def text(text_of):
        return lambda model: model.header(part, text_of)

    def edited(edit):
        def text_of(tensors):
            edit(tensors)
            return json.dumps(tensors)

        return text(text_of)

    def of_vector(**changes):
        return edited(lambda all: all[vector].update(changes))

    def offsets(change):
        return edited(lambda all: all[vector].update(data_offsets=change(*all[vector]["data_offsets"])))

    says = f"{part}/"
    return [
        case("an unknown dtype", of_vector(dtype="F5"), says, vector, "F5"),
        case("no dtype", edited(lambda all: all[vector].pop("dtype")), says, vector, "dtype is missing"),
        case("tensors overlap", offsets(lambda a, b: [a - 16, b - 16]), says, vector, "overlap"),
        case("offsets run backwards", offsets(lambda a, b: [b, a]), says, vector, "run backwards"),
        case("offsets beyond the file", offsets(lambda a, b: [a + 2**40, b + 2**40]), says, vector, "leave the file"),
        case("offsets below zero", offsets(lambda a, b: [-4, b]), says, vector, "non-negative"),
        case("a shape beyond all numbers", of_vector(shape=[2**40, 2**40]), says, vector, "too large"),
        case("a shape that is text", of_vector(shape="8"), says, vector, "not a list"),
        case("a shape that is not the size", of_vector(shape=[7]), says, vector, "takes 28 bytes"),
        case("header is no JSON", text(lambda all: "{ not JSON"), says, "header"),
        case("header is a list", text(lambda all: "[]"), says, "header"),
        case("header is nested without end", text(lambda all: '{"a":' + "[" * 100000), says, "header"),
        case("header names a tensor twice", text(lambda all: json.dumps(all)[:-1] + f', "{vector}": {{}}}}'), says, vector),
        case("metadata is no text", edited(lambda all: all.update(__metadata__={"format": 1})), says, "__metadata__"),
    ]


def files(part):
    """Files that are cut off, or something else."""

    def content(data):
        return lambda model: model.content(model.file(part), data)

    def size(change):
        return lambda model: model.resize(part, change)

    says = f"{part}/"
    return [
        case("data cut off", size(lambda size: size - 8), says, "truncated"),
        case("header cut off", size(lambda size: 500), says, "truncated"),
        case("length cut off", size(lambda size: 5), says, "too few for a header"),
        case("more data than tensors", size(lambda size: size + 16), says, "belong to no tensor"),
        case("no file", lambda model: model.file(part).unlink(), f"{part}/*.safetensors"),
        case("empty", content(b""), says, "too few for a header"),
        case("a web page", content(HTML), says, "is this a safetensors file"),
        case("a zip pickle", content(b"PK\x03\x04" + bytes(200)), says, "is a PyTorch pickle"),
        case("an old pickle", content(b"\x80\x02}q\x00." + bytes(200)), says, "is a PyTorch pickle"),
        case("a pointer of Git LFS", content(b"version https://git-lfs.github.com/spec/v1\n"), says, "git lfs pull"),
    ]


def shards(part, matrix):
    """An index that does not describe its files."""

    def index(**weight_map):
        def change(model):
            path = model.file(part)
            path.with_name(path.name + ".index.json").write_text(json.dumps({"weight_map": weight_map}))

        return change

    def second_file(model):
        (model.folder / part / "other.safetensors").write_bytes(b"")

    says = f"{part}/"
    return [
        case("two files and no index", second_file, part, "no index"),
        case("an index of a missing file", index(**{matrix: "shard.safetensors"}), says, matrix, "is missing"),
        case("an index of another folder", index(x="../vae/model.safetensors"), says, '"x"', "next to the index"),
        case("an index that names no file", index(x=1), says, '"x"', "expected a file name"),
    ]
