"""Prints the folder and the version of the installed torch, as a list of CMake, or says why it does not fit.

    python -I find_torch.py 2.11

CMake runs it with -I, which leaves pip's build environment aside: the package has to fit the torch that will import it.
"""

import importlib.metadata
import importlib.util
import pathlib
import sys


def main(series):
    supported = " or ".join(series)
    specification = importlib.util.find_spec("torch")
    if specification is None or specification.origin is None:
        sys.exit(
            f"moga: {sys.executable} has no torch; install torch {supported} first, "
            f"for example: pip install torch=={series[-1]}.0"
        )
    version = importlib.metadata.version("torch").partition("+")[0]
    if ".".join(version.split(".")[:2]) not in series:
        sys.exit(
            f"moga: torch is {version}, expected {supported}: the package uses PyTorch's C++ interface, "
            "which changes between releases"
        )
    print(f"{pathlib.Path(specification.origin).parent};{version}")


main(sys.argv[1:])
