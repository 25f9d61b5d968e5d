// Makes ATen's default generator of a device a named stream (core/random.h) for as long as an object lives:
//
//   const RandomScope random(seed, "weights");        // initialisers of torch::nn draw from the stream
//   const RandomScope random(seed, "dropout", step);  // so does at::dropout
//
// Some functions of ATen take no generator and draw from the default one. Inside a scope what they draw depends on
// (seed, purpose, index) alone, so a resumed run draws the same; afterwards the default generator is as it was before.
// Nothing waits for the device.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <string_view>

namespace moga {

class RandomScope {
 public:
  RandomScope(uint64_t seed, std::string_view purpose, uint64_t index = 0, c10::Device device = c10::Device(c10::kCPU));
  ~RandomScope();
  RandomScope(const RandomScope&) = delete;
  RandomScope& operator=(const RandomScope&) = delete;

 private:
  at::Generator generator_;
  at::Tensor before_;  // its state
};

}  // namespace moga
