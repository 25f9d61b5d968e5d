"""safetensors files with any header. The data are holes of a sparse file: in memory only once somebody reads them."""

import json
import math
import os
import struct

BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I8": 1,
         "U8": 1, "BOOL": 1}  # fmt: skip


def entry(shape, dtype="F32"):
    return {"dtype": dtype, "shape": list(shape)}


def laid_out(tensors):
    """The header's entries with offsets one after the other, and the size of the data."""
    header, end = {}, 0
    for name, tensor in tensors.items():
        size = math.prod(tensor["shape"]) * BYTES[tensor["dtype"]]
        header[name] = tensor | {"data_offsets": [end, end + size]}
        end += size
    return header, end


def write_header(path, text, data_bytes):
    """A file with this header, as text or bytes, and zeros."""
    raw = text if isinstance(text, bytes) else text.encode()
    raw += b" " * (-len(raw) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + data_bytes)


def write_weights(path, tensors, metadata=None, values=None):
    """`tensors`: entries by name. `values`: bytes of some of them; the others are zero."""
    header, size = laid_out(tensors)
    text = json.dumps(({"__metadata__": metadata} if metadata is not None else {}) | header)
    write_header(path, text, size)
    begin = os.path.getsize(path) - size
    with open(path, "r+b") as file:
        for name, content in (values or {}).items():
            file.seek(begin + header[name]["data_offsets"][0])
            file.write(content)


def header_bytes(path):
    """All before the data."""
    with open(path, "rb") as file:
        length = file.read(8)
        return length + file.read(struct.unpack("<Q", length)[0])


def read_header(path):
    """Entries with offsets, and metadata."""
    header = json.loads(header_bytes(path)[8:])
    metadata = header.pop("__metadata__", None)
    return header, metadata


def without_offsets(tensors):
    """Entries to be laid out again."""
    return {name: entry(tensor["shape"], tensor["dtype"]) for name, tensor in tensors.items()}


def read_weights(path):
    """Entries to be laid out again, metadata, and the bytes of each tensor."""
    tensors, metadata = read_header(path)
    data = path.read_bytes()
    begin = len(data) - max(tensor["data_offsets"][1] for tensor in tensors.values())
    values = {name: data[begin + first : begin + last] for name, tensor in tensors.items()
              for first, last in [tensor["data_offsets"]]}  # fmt: skip
    return without_offsets(tensors), metadata, values
