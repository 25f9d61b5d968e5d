"""Checks that every source file is formatted as .clang-format says, with the clang-format of Debian 12.

    python tests/architecture/formatting.py [root]

Other versions format differently: without version 14 the check is skipped (exit status 77). `make format` repairs.
"""
import pathlib
import re
import shutil
import subprocess
import sys

VERSION = "14"
FOLDERS = ("apps", "moga", "python", "tests")
SUFFIXES = {".h", ".cpp", ".cuh", ".cu"}


def formatter():
    """The path of clang-format 14, or None."""
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path and re.search(rf"version {VERSION}\.", subprocess.check_output([path, "--version"], text=True)):
            return path
    return None


def main(root, repair):
    tool = formatter()
    if not tool:
        print(f"skipped: no clang-format {VERSION}, which Debian 12 has; run tools/setup.sh clang-format-{VERSION}")
        return 77
    sources = [str(path.relative_to(root)) for folder in FOLDERS for path in sorted((root / folder).rglob("*"))
               if path.suffix in SUFFIXES]
    if repair:
        return subprocess.run([tool, "-i", *sources], cwd=root).returncode
    output = subprocess.run([tool, "--dry-run", *sources], cwd=root, capture_output=True, text=True).stderr
    unformatted = sorted(set(re.findall(r"^(\S+?):\d+:\d+: warning: code should be clang-formatted", output, re.M)))
    print("\n".join([f"{path}: not formatted; run make format" for path in unformatted])
          or f"{len(sources)} files are formatted")
    return 1 if unformatted else 0


arguments = [argument for argument in sys.argv[1:] if argument != "--repair"]
sys.exit(main(pathlib.Path(arguments[0] if arguments else ".").resolve(), "--repair" in sys.argv))
