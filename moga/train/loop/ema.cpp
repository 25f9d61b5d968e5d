// Moving average of the weights. See ema.h.
#include "moga/train/loop/ema.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <optional>

#include "moga/core/check.h"

namespace moga {

struct Ema::Staged {
  std::vector<at::Tensor> weights;  // float32 on the host
  std::optional<c10::Event> copied;
  double decay = 0;
  bool pending = false;
};

Ema::Ema(const NamedTensors& parameters, const NamedTensors& masters, double decay, EmaPlace place)
    : parameters_(parameters), masters_(masters), decay_(decay) {
  check(decay >= 0 && decay < 1, "EMA decay is ", decay, ", expected 0 or more and below 1");
  if (decay == 0) return;
  if (place == EmaPlace::kHost) staged_ = std::make_unique<Staged>();
  for (const auto& [name, master] : masters_) {
    const at::Tensor weight = master.detach();
    average_.emplace_back(name, staged_ ? weight.to(at::kCPU, /*non_blocking=*/false, /*copy=*/true) : weight.clone());
    if (!staged_) continue;
    const auto options = at::TensorOptions(at::kFloat).pinned_memory(weight.is_cuda());
    staged_->weights.push_back(at::empty(weight.sizes(), options));
  }
}

Ema::~Ema() = default;

void Ema::update(int64_t step) {
  if (average_.empty()) return;
  at::NoGradGuard no_grad;
  const double decay = std::min(decay_, (1.0 + step) / (10.0 + step));
  if (staged_) {
    settle();
    for (size_t i = 0; i < masters_.size(); ++i)
      staged_->weights[i].copy_(masters_[i].second.detach(), /*non_blocking=*/true);
    if (const at::Device device = masters_.front().second.device(); device.is_cuda()) {
      staged_->copied.emplace(device.type());
      staged_->copied->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
    }
    staged_->decay = decay;
    staged_->pending = true;
    return;
  }
  std::vector<at::Tensor> averages = tensors_of(average_), weights;
  for (const auto& item : masters_) weights.push_back(item.second.detach());
  at::_foreach_lerp_(averages, weights, 1.0 - decay);
}

// Averages the weights that were copied to the host.
void Ema::settle() const {
  if (!staged_ || !staged_->pending) return;
  at::NoGradGuard no_grad;
  if (staged_->copied) staged_->copied->synchronize();
  std::vector<at::Tensor> averages = tensors_of(average_);
  at::_foreach_lerp_(averages, staged_->weights, 1.0 - staged_->decay);
  staged_->pending = false;
}

const NamedTensors& Ema::weights() const {
  settle();
  return average_;
}

bool Ema::exchanged(size_t i) const {
  const at::Tensor& parameter = parameters_[i].second;
  const bool whole_storage = parameter.storage().nbytes() == parameter.nbytes();  // else it is a piece of a shard
  return !staged_ && whole_storage && parameter.scalar_type() == at::kFloat;
}

void Ema::enter() {
  settle();
  at::NoGradGuard no_grad;
  kept_.assign(average_.size(), at::Tensor());
  for (size_t i = 0; i < average_.size(); ++i) {
    at::Tensor& parameter = parameters_[i].second;
    const at::Tensor weight = parameter.detach();
    if (exchanged(i)) {
      parameter.set_data(average_[i].second);
      average_[i].second = weight;
      continue;
    }
    const bool own_master = parameter.scalar_type() == at::kFloat;
    if (own_master) kept_[i] = weight.to(at::kCPU, /*non_blocking=*/false, /*copy=*/true);
    weight.copy_(average_[i].second);
  }
}

void Ema::leave() {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < average_.size(); ++i) {
    at::Tensor& parameter = parameters_[i].second;
    const at::Tensor weight = parameter.detach();
    if (exchanged(i)) {
      parameter.set_data(average_[i].second);
      average_[i].second = weight;
    } else {
      weight.copy_(kept_[i].defined() ? kept_[i] : masters_[i].second.detach());
    }
  }
  kept_.clear();
}

}  // namespace moga
