// Where tensors live. libtorch_cuda is loaded here, on demand, so that one binary serves machines with and without a
// GPU (cmake/Torch.cmake).
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace moga {

// True if libtorch_cuda can be loaded and sees at least one GPU. Loads it on the first call. ATen looks for CUDA once,
// and autograd starts its threads once, so the first call must precede the first seed and the first backward pass.
bool cuda_available();

// "cpu", "cuda", "cuda:1", or "auto" (a GPU if there is one). Throws one clear line if the device is not available.
c10::Device parse_device(const std::string& name);

// "float32", "bfloat16", "float16", "float64" and the short forms fp32, bf16, fp16, fp64.
c10::ScalarType parse_dtype(const std::string& name);
// The same, and "auto": bfloat16 on CUDA, float32 on the CPU.
c10::ScalarType compute_dtype(const std::string& name, c10::Device device);
std::string dtype_name(c10::ScalarType dtype);

// The dtype of norms, modulation and rotary embedding around products in `dtype`: float32, or float64 for float64.
inline c10::ScalarType wide(c10::ScalarType dtype) { return dtype == c10::kDouble ? c10::kDouble : c10::kFloat; }

// "NVIDIA H100 80GB HBM3", or the processor's model name: what a log names with a measurement.
std::string device_name(c10::Device device);

// For a program, before its first tensor on a GPU: PyTorch's allocator extends its segments instead of adding others,
// unless PYTORCH_ALLOC_CONF is set. Without, fragments take a fifth of the memory of long videos.
void use_expandable_segments();

// Waits for all work queued on a CUDA device; nothing on the CPU.
void synchronize(c10::Device device);

// The largest number of bytes that tensors have had allocated on the device; for the CPU, the peak resident set of the
// process.
int64_t peak_memory(c10::Device device);

}  // namespace moga
