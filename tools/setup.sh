#!/usr/bin/env bash
# Installs what a build needs and is missing: Debian packages, and LibTorch from the PyTorch wheel in .venv. Does nothing
# when all is there. Needs root or sudo for the packages only; otherwise it prints the command to run as root.
#   tools/setup.sh [package…]   further Debian packages: clang-format for `make test`
#   MOGA_TORCH=full | cpu       the wheel with or without the libraries of the CUDA backend; default: full where a GPU is
set -euo pipefail
cd "$(dirname "$0")/.."

torch_version=2.11.0
packages=(build-essential cmake ninja-build pkg-config python3-venv libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
  libsentencepiece-dev libutf8proc-dev libcpp-httplib-dev libgtest-dev libpng-dev libjpeg62-turbo-dev libavfilter-dev libavformat-dev
  libavcodec-dev libavutil-dev libswscale-dev libgloo-dev "$@")

install_packages() {
  local missing=()
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local become=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -v; then
      echo "moga: packages are missing; run as root:  apt-get update && apt-get install -y ${missing[*]}" >&2
      exit 1
    fi
    become=(sudo)
  fi
  echo "installing ${missing[*]}"
  if ! { "${become[@]}" apt-get update -qq &&
         "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null; }; then
    echo "moga: the packages could not be installed; run as root:  apt-get update && apt-get install -y ${missing[*]}" >&2
    exit 1
  fi
}

has_gpu() { [ -e /dev/nvidia0 ] || ldconfig -p | grep -q libcuda.so.1; }

install_torch() {
  local flavour=${MOGA_TORCH:-$(has_gpu && echo full || echo cpu)}
  local stamp=.venv/moga-torch
  [ -f "$stamp" ] && grep -qx -e "$torch_version $flavour" -e "$torch_version full" "$stamp" && return
  echo "installing torch $torch_version ($flavour) in .venv"
  [ -x .venv/bin/pip ] || python3 -m venv .venv
  local install=(.venv/bin/pip install --quiet --disable-pip-version-check)
  local hint="$(printf '%q ' "${install[@]}") torch==$torch_version"
  if [ "$flavour" = full ]; then
    "${install[@]}" "torch==$torch_version" || { echo "moga: torch could not be installed; run:  $hint" >&2; exit 1; }
  else
    # libtorch_cpu of the CUDA wheel needs these two small libraries and nothing else.
    "${install[@]}" --no-deps "torch==$torch_version" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85 ||
      { echo "moga: torch could not be installed; run:  $hint" >&2; exit 1; }
  fi
  echo "$torch_version $flavour" > "$stamp"
}

install_packages
install_torch
