# LibTorch from a PyTorch wheel, as three imported targets and no more.
#
# The wheel's own TorchConfig.cmake insists on a complete CUDA toolkit whenever the wheel was built for CUDA, even to
# link the CPU library. We link libtorch_cpu and c10 only; libtorch_cuda is loaded at run time when a GPU is asked
# for (moga/core/device.h), so that one binary serves machines with and without one.
#
# An installed package includes this file too, and finds the LibTorch of the project that uses it.
set(MOGA_TORCH_DIR "" CACHE PATH "Folder of the installed torch package (holds include/ and lib/); empty: .venv")
set(torch_dir "${MOGA_TORCH_DIR}")
if(NOT torch_dir)
  file(GLOB torch_dir "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
endif()
if(NOT EXISTS "${torch_dir}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "no LibTorch at '${torch_dir}': run 'make setup', or give -DMOGA_TORCH_DIR=<torch package folder>")
endif()
get_filename_component(torch_packages "${torch_dir}" DIRECTORY)
set(MOGA_TORCH_RPATH "${torch_dir}/lib;${torch_packages}/nvidia/cu13/lib")

add_library(moga_torch INTERFACE IMPORTED GLOBAL)
target_include_directories(moga_torch SYSTEM INTERFACE
  "${torch_dir}/include" "${torch_dir}/include/torch/csrc/api/include")
target_link_libraries(moga_torch INTERFACE "${torch_dir}/lib/libtorch_cpu.so" "${torch_dir}/lib/libc10.so" dl)
target_link_options(moga_torch INTERFACE "LINKER:--allow-shlib-undefined")
set(CMAKE_BUILD_RPATH "${MOGA_TORCH_RPATH}")
file(STRINGS "${torch_dir}/include/torch/headeronly/version.h" torch_numbers REGEX "TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]")
list(TRANSFORM torch_numbers REPLACE ".* " "")
list(JOIN torch_numbers "." MOGA_TORCH_VERSION)
