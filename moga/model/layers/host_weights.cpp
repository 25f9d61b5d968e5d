// See host_weights.h.
#include "moga/model/layers/host_weights.h"

#include <ATen/ATen.h>

#include "moga/model/layers/packed_weights.h"

namespace moga {

HostWeights::HostWeights(std::vector<at::Tensor> parameters, c10::Device device)
    : parameters_(std::move(parameters)),
      device_(device),
      host_(at::empty({packed_bytes(parameters_)}, at::TensorOptions(at::kByte).pinned_memory(device.is_cuda()))) {
  view_in(parameters_, host_);
}

void HostWeights::wake() {
  if (awake()) return;
  on_device_ = at::empty(host_.sizes(), at::TensorOptions(at::kByte).device(device_));
  on_device_.copy_(host_, /*non_blocking=*/true);
  view_in(parameters_, on_device_);
}

void HostWeights::rest() {
  if (!awake()) return;
  view_in(parameters_, host_);
  on_device_.reset();
}

}  // namespace moga
