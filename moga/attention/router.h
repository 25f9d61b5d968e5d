// Router: r = W x + b, p = softmax(r) in float32, g = argmax p (lowest index on a tie). One a layer, shared by all
// heads. The balance loss keeps its groups even.
//
// Logits are float32 whatever x and W are kept in (Switch Transformer's selective precision): a bfloat16 logit has
// eight bits, and one token in 400 would be routed by a tie of rounding (M = 5, logits of deviation 0.6).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <string>

#include "moga/attention/grouping.h"

namespace moga {

struct Routing {
  at::Tensor probabilities;  // p [N, M] float32 (float64 for float64)
  at::Tensor group;          // g [N] int64
  at::Tensor gate;           // [N] like p: p(g(x)|x), or 1 with that gradient (straight_through), or undefined (none)
  Grouping grouping;         // B·M groups
  at::Tensor x;              // the router's x [N, C], for its other readers: on CUDA the gradients meet in one pass
};

class RouterImpl : public torch::nn::Module {
 public:
  // gate: "probability" (the paper), "straight_through" (forward 1, backward that of p), "none".
  RouterImpl(int64_t width, int64_t groups, std::string gate = "probability");
  Routing forward(const at::Tensor& x, const Layout& layout);  // x [N, C]

  at::Tensor weight;  // [M, C]
  at::Tensor bias;    // [M]

 private:
  std::string gate_;
};
TORCH_MODULE(Router);

// M · Σ_i F_i P_i, mean over videos: 1 at balance with form "switch" (P_i averages p over all tokens), the paper's
// eq. 8 as printed with "paper" (P_i sums p over the tokens of group i only, over N). F_i carries no gradient.
// The factor α is the caller's.
at::Tensor balance_loss(const Routing& routing, const Layout& layout, const std::string& form = "switch");

// Tokens a group [B, M] int64, on the device.
at::Tensor group_histogram(const Routing& routing, const Layout& layout);

}  // namespace moga
