// How evenly the routed groups are filled while videos are denoised. Attention inside groups costs Σ n_g², least when
// all are equal: a router that sends most tokens to one group costs time, however good its choice.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace moga {

class GroupBalance {
 public:
  // Tokens in each group of an evaluation, [layers, M] int64; undefined without routers. No host synchronisation.
  void see(const at::Tensor& histogram);
  // M Σ n_g² / N², averaged over layers and evaluations: 1 if even, M if one group has all tokens, 0 if nothing was
  // recorded.
  double cost() const;
  // One line for a log: the cost, and the largest group of any layer; empty if nothing was recorded.
  std::string text() const;

 private:
  at::Tensor cost_;     // float64 [], summed over evaluations
  at::Tensor largest_;  // float64 [], fraction of the tokens
  int64_t groups_ = 0, evaluations_ = 0;
};

}  // namespace moga
