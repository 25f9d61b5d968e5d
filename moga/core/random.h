// Random streams. Every random number of the project comes from a generator named by (seed, purpose, index), so that
// a run is reproduced from its seed, and a resumed run draws the same numbers without saving any generator's state:
//
//   auto noise = torch::randn(shape, random_stream(seed, "noise", step));
//
// Streams of one seed with different purpose or index are independent. A stream on a CUDA device differs from the
// CPU stream of the same name; numbers that must agree between devices are drawn on the CPU and copied.
#pragma once

#include <ATen/core/Generator.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <string_view>

namespace moga {

// 64 well-mixed bits of (seed, purpose, index).
uint64_t random_key(uint64_t seed, std::string_view purpose, uint64_t index = 0);

at::Generator random_stream(uint64_t seed, std::string_view purpose, uint64_t index = 0,
                            c10::Device device = c10::Device(c10::kCPU));

}  // namespace moga
