# Two commands: `make demo` turns a shot script into a video, `make test` runs every test. Both install what is missing.
#   make setup   packages and .venv        make build      the program moga     make clean   removes build/ and out/
#   make format  clang-format              make tidy       clang-tidy           make sanitize   tests with sanitizers
#   make python  the Python package and its tests, in the environment of PYTHON (which has torch)
#   make deb     Debian packages of the program and of the libraries, in out/
SHELL := /bin/bash
PRESET ?= $(if $(shell command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null),cuda,cpu)
BUILD := build/$(PRESET)
SCRIPT ?= examples/mara_by_the_lake.toml
OUT ?= out/$(basename $(notdir $(SCRIPT))).mp4
JOBS ?= $(shell nproc)
# The files that `make tidy` checks: TIDY=moga/core for one folder.
TIDY ?= moga apps
CLANG_TIDY := 23.1.4
PIP := .venv/bin/pip install --quiet --disable-pip-version-check --no-deps

PYTHON ?= python3

.PHONY: setup build demo test format tidy sanitize python deb clean

setup:
	@tools/setup.sh

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json | setup
	@cmake --preset $(PRESET) --log-level=WARNING

build: setup $(BUILD)/build.ninja
	@cmake --build --preset $(PRESET) --target moga

demo:
	@echo "demo 1/3: packages and LibTorch (the first time: a download of about 530 MB)"
	@$(MAKE) --no-print-directory setup
	@echo "demo 2/3: building the program (the first time: about 20 minutes on two cores; ninja counts the files)"
	@$(MAKE) --no-print-directory build
	@echo "demo 3/3: generating $(OUT) from $(SCRIPT): text, 20 denoising steps, decoding; previews in $(basename $(OUT)).preview.png"
	@[ -f models/demo/model_index.json ] || { echo "moga: models/demo has no weights yet; tools/make_demo_model.sh makes them on a GPU" >&2; exit 1; }
	@$(BUILD)/bin/moga generate $(SCRIPT) --model models/demo --preview 4 --out $(OUT)
	@echo "look at $(OUT) and at the contact sheet next to it, one row per shot"

test: $(BUILD)/build.ninja
	@tools/setup.sh clang-format
	@cmake --build --preset $(PRESET)
	@if [ $(PRESET) = cuda ]; then echo "CUDA kernels: compiled for sm_90a"; else echo "CUDA kernels: not compiled (no nvcc)"; fi
	@ctest --test-dir $(BUILD) --output-on-failure -j$(JOBS)

format:
	@tools/setup.sh clang-format
	@python3 tests/architecture/formatting.py --repair

tidy: setup
	@$(PIP) clang-tidy==$(CLANG_TIDY)
	@cmake --preset tidy --log-level=WARNING
	@.venv/bin/python .venv/bin/run-clang-tidy.py -clang-tidy-binary .venv/bin/clang-tidy -quiet -p build/tidy -j$(JOBS) \
	  $(foreach path,$(TIDY),'^$(CURDIR)/(build/tidy/)?$(path)/')

# Address and undefined-behaviour sanitizers over the folders that compile and run fast enough for every change.
sanitize: setup
	@cmake --preset sanitize --log-level=WARNING
	@cmake --build --preset sanitize
	@ctest --preset sanitize -j$(JOBS)

# From here Python does not see python/moga, the sources: the installed package is tested.
python:
	@$(PYTHON) -c 'import torch' || { echo "moga: $(PYTHON) has no torch; PYTHON names one that has: make python PYTHON=venv/bin/python" >&2; exit 1; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check './python[test]'
	@$(PYTHON) -m pytest -q -c python/pyproject.toml --rootdir python python/tests

deb: setup $(BUILD)/build.ninja
	@cmake --build --preset $(PRESET)
	@mkdir -p out && cd out && cpack --config ../$(BUILD)/CPackConfig.cmake

clean:
	rm -rf build out
