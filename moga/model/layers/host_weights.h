// All weights of a module in host memory, on the device only while the module is awake: for two models of which one
// computes at a time, where both do not fit on the device (Wan2.2's two experts).
//
//   HostWeights   allocates host memory, pinned for a GPU; fill the parameters, then
//   wake          copies everything to the device in one piece: seconds for a 14B model, once or twice per generation
//   rest          frees the device memory; the host memory still has the values
//
// Inference only: a change made to the weights on the device is lost. weight_stream.h is for a model that does not fit
// by itself.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace moga {

class HostWeights {
 public:
  // The parameters keep their shapes and dtypes, not their values.
  HostWeights(std::vector<at::Tensor> parameters, c10::Device device);

  // Both do nothing when there is nothing to do. Work that is queued on the current stream is in order with them; the
  // host does not wait.
  void wake();
  void rest();
  bool awake() const { return on_device_.defined(); }

 private:
  std::vector<at::Tensor> parameters_;
  c10::Device device_;
  at::Tensor host_, on_device_;  // uint8, one parameter after the other; on_device_ undefined at rest
};

}  // namespace moga
