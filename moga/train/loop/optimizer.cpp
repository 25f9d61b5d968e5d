// AdamW by ATen's fused kernels. See optimizer.h.
#include "moga/train/loop/optimizer.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {

void OptimizerConfig::validate() const {
  check(beta1 >= 0 && beta1 < 1, "beta1 is ", beta1, ", expected 0 or more and below 1");
  check(beta2 >= 0 && beta2 < 1, "beta2 is ", beta2, ", expected 0 or more and below 1");
  check(epsilon > 0, "epsilon is ", epsilon, ", expected more than 0");
  check(weight_decay >= 0, "weight_decay is ", weight_decay, ", expected at least 0");
  check(clip >= 0, "clip is ", clip, ", expected at least 0");
}

AdamW::AdamW(NamedTensors parameters, const OptimizerConfig& config)
    : parameters_(std::move(parameters)), config_(config) {
  check(!parameters_.empty(), "nothing to train: no parameter requires a gradient");
  parts_[0].weight_decay = config.weight_decay;
  for (const auto& [name, weight] : parameters_) {
    check(weight.scalar_type() == at::kFloat, name, " is ", weight.scalar_type(), ": masters must be float32");
    moments1_.push_back(at::zeros_like(weight));
    moments2_.push_back(at::zeros_like(weight));
    Part& part = parts_[weight.dim() >= 2 ? 0 : 1];
    part.weights.push_back(weight);
    part.moments1.push_back(moments1_.back());
    part.moments2.push_back(moments2_.back());
  }
  steps_ = at::zeros({}, parameters_.front().second.options().requires_grad(false));
}

AdamW::Step AdamW::step(double learning_rate) {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const auto& item : parameters_)
    if (item.second.grad().defined()) gradients.push_back(item.second.grad());
  check(!gradients.empty(), "AdamW step without gradients");

  Step step;
  step.gradient_norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)));
  step.skipped = step.gradient_norm.isfinite().logical_not().to(at::kFloat);
  // The kernels divide gradients by this scale, which saves a pass over them.
  const at::Tensor scale = config_.clip > 0 ? (step.gradient_norm / config_.clip).clamp_min(1.0) : at::Tensor();
  steps_.add_(1).sub_(step.skipped);
  for (const Part& part : parts_) step_part(part, learning_rate, step, scale);
  return step;
}

void AdamW::step_part(const Part& part, double learning_rate, const Step& step, const at::Tensor& scale) {
  std::vector<at::Tensor> weights, gradients, moments1, moments2;
  for (size_t i = 0; i < part.weights.size(); ++i) {
    const at::Tensor& gradient = part.weights[i].grad();
    if (!gradient.defined()) continue;
    weights.push_back(part.weights[i].detach());
    // The fused kernels walk memory: strides must agree, in dimensions of size 1 too.
    const bool same = gradient.strides() == weights.back().strides();
    gradients.push_back(same ? gradient : at::empty_like(weights.back()).copy_(gradient));
    moments1.push_back(part.moments1[i]);
    moments2.push_back(part.moments2[i]);
  }
  if (weights.empty()) return;
  const std::vector<at::Tensor> steps(weights.size(), steps_);  // read only: one count serves all
  const std::optional<at::Tensor> grad_scale = scale.defined() ? std::optional(scale) : std::nullopt;
  at::_fused_adamw_(weights, gradients, moments1, moments2, {}, steps, learning_rate, config_.beta1, config_.beta2,
                    part.weight_decay, config_.epsilon, /*amsgrad=*/false, /*maximize=*/false, grad_scale,
                    step.skipped);
}

void AdamW::zero_grad() {
  for (auto& item : parameters_) item.second.mutable_grad().reset();
}

NamedTensors AdamW::state() const {
  NamedTensors state = {{"steps", steps_}};
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.emplace_back("moment1." + parameters_[i].first, moments1_[i]);
    state.emplace_back("moment2." + parameters_[i].first, moments2_[i]);
  }
  return state;
}

}  // namespace moga
