// Router: r = W x + b, p = softmax(r) in float32, g = argmax p (lowest index on a tie). One per layer, shared by all
// heads.
//
// Scoring reads only the tokens that a rank holds; the grouping is made from the group numbers of the whole video. The
// balance loss, which keeps groups even, is balance_loss.h.
//
// Logits are float32 whatever the dtype of x and W (Switch Transformer's selective precision): a bfloat16 logit has
// eight bits, and rounding would decide the group of one token in 400 (M = 5, logits of deviation 0.6).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "moga/attention/grouping.h"
#include "moga/core/choice.h"

namespace moga {

// What scales the output of routed attention, and so gives the router its gradient.
enum class Gate { kProbability, kStraightThrough, kNone };
template <>
inline constexpr auto kChoices<Gate> = std::array{
    Choice{Gate::kProbability, "probability", "p(g(x)|x), as in the paper"},
    Choice{Gate::kStraightThrough, "straight_through", "1, with the gradient of p(g(x)|x)"},
    Choice{Gate::kNone, "none", "no gate"},
};

// Of the n tokens scored, which may be a slice of a video.
struct TokenScores {
  at::Tensor probabilities;  // p [n, M] float32 (float64 for float64)
  at::Tensor group;          // g [n] int64
  at::Tensor gate;           // [n], dtype of p; undefined with Gate::kNone
  at::Tensor x;              // x [n, C] for its other consumers: on CUDA their gradients are added in the router's pass
};

struct Routing : TokenScores {
  Grouping grouping;  // B·M groups
};

class RouterImpl : public torch::nn::Module {
 public:
  RouterImpl(int64_t width, int64_t groups, Gate gate = Gate::kProbability);

  TokenScores score(const at::Tensor& x);  // x [n, C]
  // score, and the grouping of a layout of which x [N, C] holds all tokens. With tokens spread over ranks, gather the
  // group numbers and call routed_groups (grouping.h).
  Routing forward(const at::Tensor& x, const Layout& layout);

  at::Tensor weight;  // [M, C]
  at::Tensor bias;    // [M]

 private:
  Gate gate_;
};
TORCH_MODULE(Router);

}  // namespace moga
