// Reads and writes latents, so that two programs can be compared exactly: the noise from which a generation starts and
// the normalised latents with which it ends, as the tensor "latents" of a safetensors file.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace moga {

// float32 [z, F, Y', X'] on the CPU. A leading dimension of 1, a batch of one video, is dropped. Throws one line when
// the file has no such tensor.
at::Tensor load_latents(const std::filesystem::path& path);

// latents [z, F, Y', X'] on any device.
void save_latents(const std::filesystem::path& path, const at::Tensor& latents);

}  // namespace moga
