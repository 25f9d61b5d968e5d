# Two commands: `make demo` turns a shot script into a video, `make test` runs every test. Both install what is missing.
#   make setup   packages and .venv        make build      the program moga     make clean   removes build/ and out/
#   make format  clang-format              make tidy       clang-tidy           make sanitize   tests with sanitizers
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

.PHONY: setup build demo test format tidy sanitize clean

setup:
	@tools/setup.sh

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json | setup
	@cmake --preset $(PRESET) --log-level=WARNING

build: setup $(BUILD)/build.ninja
	@cmake --build --preset $(PRESET) --target moga

demo: build
	@[ -f models/demo/model_index.json ] || { echo "moga: models/demo has no weights yet; tools/make_demo_model.sh makes them on a GPU" >&2; exit 1; }
	@$(BUILD)/bin/moga generate $(SCRIPT) --model models/demo --out $(OUT)

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

clean:
	rm -rf build out
