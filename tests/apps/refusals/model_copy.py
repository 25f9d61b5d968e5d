"""A copy of a model folder, to be damaged."""

import json
import os
import pathlib
import shutil

from families import DIFFUSERS, WEIGHTS, write_json
from safetensors_files import header_bytes, read_header, without_offsets, write_header, write_weights

LARGE = 4 << 20  # bytes of files whose pages in memory are counted


def copy_file(source, target):
    """Links to small files; large weights are holes of a file of their own, whose pages nobody else reads."""
    size = os.path.getsize(source)
    if size < LARGE:
        os.link(source, target)
        return
    with open(target, "wb") as copy:
        copy.write(header_bytes(source))
        copy.truncate(size)


class Model:
    """Each change writes a new file and leaves the original's alone."""

    def __init__(self, folder, original):
        self.folder = pathlib.Path(folder)
        shutil.copytree(original, self.folder, copy_function=copy_file)

    def file(self, part):
        return self.folder / part / WEIGHTS.get(part, DIFFUSERS)

    def replace(self, path):
        """The path of a file to write again."""
        (self.folder / path).unlink(missing_ok=True)
        return self.folder / path

    def remove(self, path):
        shutil.rmtree(self.folder / path)

    def json(self, path, *removed, **changes):
        """Changes values of a JSON file, and removes keys."""
        values = json.loads((self.folder / path).read_text()) | changes
        for key in removed:
            values.pop(key)
        write_json(self.replace(path), values)

    def tensors(self, part, change, metadata=None, values=None):
        """`change` edits the entries of a weights file, which is written again."""
        tensors, own = read_header(self.file(part))
        tensors = without_offsets(tensors)
        change(tensors)
        write_weights(self.replace(self.file(part)), tensors, metadata if metadata is not None else own, values)

    def header(self, part, text_of):
        """Writes the text that `text_of` makes of a header in place of it; the data stay."""
        tensors, _ = read_header(self.file(part))
        size = max(tensor["data_offsets"][1] for tensor in tensors.values())
        write_header(self.replace(self.file(part)), text_of(tensors), size)

    def content(self, path, content):
        self.replace(path).write_bytes(content)

    def resize(self, part, change):
        """Cuts a weights file off, or adds zeros. `change`: size → new size."""
        path = self.file(part)
        begin, size = header_bytes(path), change(path.stat().st_size)
        with open(self.replace(path), "wb") as file:
            file.write(begin[:size])
            file.truncate(size)
