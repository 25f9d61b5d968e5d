// A router from data instead of training, written as W, b: balanced k-means over router inputs, or their balanced
// spread.
//
//   score_i(x) = c_i·x' (spherical, spread) or 2 c_i·x' - |c_i|² (Euclidean: the nearest centre)   x' = P E (x - mean)
//   r = τ (score + λ) = W x + b
//
// The offsets λ make the groups equally large (cells of a power diagram, which are still linear), P removes what
// differs between the sets that the rows come from (timesteps), so that each of them is balanced too, E is an embedding
// in which likeness means what the caller wants, and τ is chosen so that the gate has a given mean. Serves models that
// were trained without routers; what it replaces is training, not the router (router.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace moga {

struct RouterFitConfig {
  // "euclidean"; "spread": no clusters, but random directions of the whitened rows, so that each group is a fair sample
  // of all tokens. Where attention is flat, that is nearer to it than groups of alike tokens.
  std::string metric = "spherical";
  double confidence = 0.9;  // mean of the gate p(g(x)|x) over the rows
  int64_t iterations = 20;  // of k-means
  int64_t restarts = 3;     // the best of so many beginnings is kept
  int64_t seed = 0;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("metric", metric, "spherical or euclidean k-means, or spread: groups that are fair samples");
    field("confidence", confidence, "mean of the gate over the tokens, above 1/M and below 1");
    field("iterations", iterations, "iterations of k-means");
    field("restarts", restarts, "beginnings of k-means, the best is kept");
    field("seed", seed, "seed of the beginnings");
  }
};

struct RouterWeights {
  at::Tensor weight;  // [M, C] float32
  at::Tensor bias;    // [M] float32
};

// x [n, C] of any float dtype, rows drawn from `sets` sets of equal size one after the other (n a multiple of it, at
// least M rows). `embedding` E [C, r] on the same device, undefined: identity. Works on x's device in float32.
RouterWeights fit_router(const at::Tensor& x, int64_t sets, int64_t groups, const RouterFitConfig& config,
                         const at::Tensor& embedding = {});

// λ [M] so that argmax(scores + λ) over scores [n, M] meets each column equally often, as nearly as ties allow.
at::Tensor balance_offsets(const at::Tensor& scores);

}  // namespace moga
