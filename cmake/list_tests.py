"""Writes the CTest entries of one test program: one for each test file, and one for its suites named *Gpu*.

    python cmake/list_tests.py PROGRAM --out FILE [--gpu]

The program lists its tests as JSON, with the path of the file that each was compiled from. CTest includes FILE.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77  # tests/support/exit_status.h
CPU = f'LABELS cpu TIMEOUT 300 SKIP_RETURN_CODE {SKIPPED} ENVIRONMENT "OMP_NUM_THREADS=1"'
# One at a time: GPU tests are sized for the memory of a whole GPU.
GPU = f"LABELS gpu TIMEOUT 600 SKIP_RETURN_CODE {SKIPPED} RESOURCE_LOCK gpu"


def listed_suites(program):
    """[(suite, [(test, path of its file)])], without the tests that are disabled."""
    with tempfile.TemporaryDirectory() as folder:
        listing = pathlib.Path(folder) / "tests.json"
        # A sanitizer's search for leaks at exit would end the listing as a failure.
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
        command = [program, "--gtest_list_tests", f"--gtest_output=json:{listing}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        suites = json.loads(listing.read_text())["testsuites"]
    for suite in suites:
        tests = [(test["name"], test["file"]) for test in suite["testsuite"] if "DISABLED_" not in test["name"]]
        if tests and "DISABLED_" not in suite["name"]:
            yield suite["name"], tests


def entries_of(program):
    """{entry name: [filters]}: a whole suite, or the tests of a suite that several files share."""
    entries = collections.defaultdict(list)
    for suite, tests in listed_suites(program):
        files = {file for _, file in tests}
        for name, file in tests:
            entry = file.rpartition("/tests/")[2].removesuffix("_test.cpp")
            if "Gpu" in suite:
                entry = entry.removesuffix("_gpu") + "_gpu"
            selected = f"{suite}.*" if len(files) == 1 else f"{suite}.{name}"
            if selected not in entries[entry]:
                entries[entry].append(selected)
    return entries


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--gpu", action="store_true")
    arguments = parser.parse_args()
    lines = []
    for entry, filters in entries_of(arguments.program).items():
        on_gpu = entry.endswith("_gpu")
        if on_gpu and not arguments.gpu:
            sys.exit(f"{arguments.program}: {entry} has a suite named *Gpu*, expected GPU among the moga_test's arguments")
        brief = "" if on_gpu else " --gtest_brief=1"
        lines.append(f'add_test([=[{entry}]=] "{arguments.program}" "--gtest_filter={":".join(filters)}"{brief})')
        lines.append(f"set_tests_properties([=[{entry}]=] PROPERTIES {GPU if on_gpu else CPU})")
    arguments.out.write_text("\n".join(lines) + "\n")


main()
