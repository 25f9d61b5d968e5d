// Router weights W, b computed from data instead of training: balanced k-means over router inputs, or balanced random
// directions.
//
//   score_i(x) = c_i·x' (spherical, spread) or 2 c_i·x' - |c_i|² (Euclidean: the nearest centre)   x' = P E (x - mean)
//   r = τ (score + λ) = W x + b
//
// The offsets λ make the groups equally large (cells of a power diagram, which are still linear). P projects out the
// differences between the sets of rows (timesteps), so that groups are balanced within each set. The caller
// chooses the embedding E, and with it what counts as similar. τ is chosen so that the gate has a given mean. For
// models that were trained without routers; the router itself is router.h.
#pragma once

#include <ATen/core/Tensor.h>

#include "moga/core/choice.h"

namespace moga {

// kSpread has no clusters: where attention is flat, fair samples of all tokens approximate it better than groups of
// similar tokens.
enum class FitMetric { kSpherical, kEuclidean, kSpread };
template <>
inline constexpr auto kChoices<FitMetric> = std::array{
    Choice{FitMetric::kSpherical, "spherical", "k-means of directions"},
    Choice{FitMetric::kEuclidean, "euclidean", "k-means of rows"},
    Choice{FitMetric::kSpread, "spread", "random directions of the whitened rows: each group is a fair sample"},
};

struct RouterFitConfig {
  FitMetric metric = FitMetric::kSpherical;
  double confidence = 0.9;  // mean of the gate p(g(x)|x) over the rows
  int64_t iterations = 20;  // of k-means
  int64_t restarts = 3;     // runs of k-means, of which the best is kept
  int64_t seed = 0;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("metric", metric, "how groups are found");
    field("confidence", confidence, "mean of the gate over the tokens, above 1/M and below 1");
    field("iterations", iterations, "iterations of k-means");
    field("restarts", restarts, "runs of k-means, of which the best is kept");
    field("seed", seed, "seed of the initial centres");
  }
};

struct RouterWeights {
  at::Tensor weight;  // [M, C] float32
  at::Tensor bias;    // [M] float32
};

// x [n, C] of any float dtype: the rows of `sets` sets of equal size, set after set (n is a multiple of it and at least
// M). `embedding` E [C, r] on the same device, undefined: identity. Works on x's device in float32.
RouterWeights fit_router(const at::Tensor& x, int64_t sets, int64_t groups, const RouterFitConfig& config,
                         const at::Tensor& embedding = {});

// λ [M] such that argmax(scores + λ) over scores [n, M] selects each column equally often, as nearly as ties allow.
at::Tensor balance_offsets(const at::Tensor& scores);

}  // namespace moga
