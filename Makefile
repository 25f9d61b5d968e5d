# Two commands: `make demo` turns a shot script into a video, `make test` runs every test. Both install what is missing.
#   make setup   packages and .venv        make build   the program moga        make clean   removes build/ and out/
SHELL := /bin/bash
PRESET ?= $(if $(shell command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null),cuda,cpu)
BUILD := build/$(PRESET)
SCRIPT ?= examples/mara_by_the_lake.toml
OUT ?= out/$(basename $(notdir $(SCRIPT))).mp4

.PHONY: setup build demo test clean

setup:
	@tools/setup.sh

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json | setup
	@cmake --preset $(PRESET) --log-level=WARNING

build: setup $(BUILD)/build.ninja
	@cmake --build --preset $(PRESET) --target moga

demo: build
	@[ -f models/demo/model_index.json ] || { echo "moga: models/demo holds no weights yet; tools/make_demo_model.sh makes them on a GPU" >&2; exit 1; }
	@$(BUILD)/bin/moga generate $(SCRIPT) --model models/demo --out $(OUT)

test: setup $(BUILD)/build.ninja
	@cmake --build --preset $(PRESET)
	@if [ $(PRESET) = cuda ]; then echo "CUDA kernels: compiled for sm_90a"; else echo "CUDA kernels: not compiled (no nvcc)"; fi
	@ctest --test-dir $(BUILD) --output-on-failure -j2

clean:
	rm -rf build out
