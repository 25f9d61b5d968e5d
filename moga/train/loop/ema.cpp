// Moving average of the weights. See ema.h.
#include "moga/train/loop/ema.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"

namespace moga {

Ema::Ema(const NamedTensors& parameters, double decay) : parameters_(parameters), decay_(decay) {
  check(decay >= 0 && decay < 1, "EMA decay is ", decay, ", expected 0 or more and below 1");
  for (const auto& [name, weight] : parameters) average_.emplace_back(name, weight.detach().clone());
}

void Ema::update(int64_t step) {
  at::NoGradGuard no_grad;
  const double decay = std::min(decay_, (1.0 + step) / (10.0 + step));
  std::vector<at::Tensor> averages = tensors_of(average_), weights;
  for (const auto& item : parameters_) weights.push_back(item.second.detach());
  at::_foreach_lerp_(averages, weights, 1.0 - decay);
}

void Ema::swap() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor weight = parameters_[i].second.detach();
    parameters_[i].second.set_data(average_[i].second);
    average_[i].second = weight;
  }
}

}  // namespace moga
