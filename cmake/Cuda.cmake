# CUDA for moga/kernels. wgmma and setmaxnreg need the architecture-specific target sm_90a.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 90a-real)
endif()
enable_language(CUDA)
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")  # CMake 3.25 does not know it for nvcc 13
set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
set(CMAKE_CUDA_STANDARD 20)
find_package(CUDAToolkit 13.0 REQUIRED)
add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:-lineinfo$<SEMICOLON>-Xptxas=--warn-on-spills>)
list(APPEND CMAKE_BUILD_RPATH "${PROJECT_BINARY_DIR}/lib")  # libmoga_nccl.so, loaded by name
