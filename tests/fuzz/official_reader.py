"""Compares the verdicts of fuzz_files with those of the official safetensors reader.

    mkdir cases && fuzz_files --count 10000 --keep cases "weight headers" && python official_reader.py cases

Needs `pip install safetensors torch numpy`. Prints the files on which the two disagree and ends with 1 if there are any.
"""

import pathlib
import sys

from safetensors import safe_open


def official(path):
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():
                file.get_tensor(name)
        return "accepted"
    except Exception as error:  # the reader's own, and torch's for dtypes that it lacks
        return f"refused ({error})"


def main():
    folder = pathlib.Path(sys.argv[1])
    cases = accepted = differ = 0
    for line in (folder / "verdicts.txt").read_text().splitlines():
        name, ours = line.rsplit(" ", 1)
        theirs = official(folder / name)
        cases += 1
        accepted += ours == "accepted"
        if not theirs.startswith(ours):
            differ += 1
            print(f"{name}: ours {ours}, official {theirs}")
    print(f"{cases} cases, {accepted} accepted, {differ} with another verdict")
    sys.exit(differ > 0)


main()
