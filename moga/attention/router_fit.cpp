// Lloyd's iterations with a balanced assignment. The offsets λ solve the dual of optimal transport from rows to groups,
//
//   min_λ Σ_x max_i (s_i(x) + λ_i) - n/M Σ_i λ_i,
//
// by Sinkhorn's steps under a falling temperature ε: λ_i -= ε log(M · mean_x softmax_i((s + λ)/ε)).
#include "moga/attention/router_fit.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>

#include "moga/core/check.h"
#include "moga/core/random.h"

namespace moga {
namespace {

struct Clusters {
  at::Tensor centres;                                       // [M, C]
  double score = -std::numeric_limits<double>::infinity();  // mean over the rows of the score in their own group
};

// An orthonormal basis [sets, C] of the differences between the sets' means, with rows of zeros beyond its rank.
at::Tensor set_differences(const at::Tensor& x, int64_t sets) {
  const at::Tensor means = x.unflatten(0, {sets, -1}).mean(1);  // [sets, C]
  const auto [u, size, basis] = at::linalg_svd(means - means.mean(0), /*full_matrices=*/false);
  return basis * (size > 1e-5 * size.max()).unsqueeze(1);
}

// P x = x - (x Bᵀ) B
at::Tensor without(const at::Tensor& basis, const at::Tensor& x) { return x - x.matmul(basis.t()).matmul(basis); }

// E [C, C] such that (x - mean) E has unit variance in all directions but those of least variance.
at::Tensor whitening(const at::Tensor& centred) {
  const auto [variance, directions] = at::linalg_eigh(centred.t().matmul(centred) / centred.size(0));
  return directions * (variance.clamp_min(0) + 0.01 * variance.mean()).rsqrt();
}

// Orthonormal if there are at least as many dimensions as groups.
at::Tensor random_directions(int64_t groups, const at::Tensor& rows, const RouterFitConfig& config) {
  const at::Tensor drawn = at::randn({rows.size(1), groups}, random_stream(config.seed, "router spread"));
  return std::get<0>(at::linalg_qr(drawn)).t().to(rows.device());  // [M or C, C]
}

at::Tensor unit(const at::Tensor& x) { return x / x.norm(2, {-1}, /*keepdim=*/true).clamp_min(1e-12); }

// [n, C] × [M, C] → [n, M]
at::Tensor scores_of(const at::Tensor& x, const at::Tensor& centres, bool spherical) {
  const at::Tensor product = x.matmul(centres.t());
  return spherical ? product : 2 * product - centres.square().sum(1);
}

// k-means++: each centre is a row, drawn in proportion to its squared distance from the centres drawn before.
at::Tensor first_centres(const at::Tensor& x, int64_t groups, at::Generator random) {
  at::Tensor distance = at::ones({x.size(0)}, x.options());
  std::vector<at::Tensor> centres;
  for (int64_t i = 0; i < groups; ++i) {
    const at::Tensor chance = distance.cpu().clamp_min(1e-12);
    const at::Tensor row = at::multinomial(chance, 1, /*replacement=*/false, random).to(x.device());
    centres.push_back(x.index_select(0, row));
    const at::Tensor squared = (x - centres.back()).square().sum(1);
    distance = i == 0 ? squared : at::minimum(distance, squared);
  }
  return at::cat(centres);
}

Clusters cluster(const at::Tensor& x, int64_t groups, const RouterFitConfig& config, int64_t restart) {
  const bool spherical = config.metric != FitMetric::kEuclidean;
  Clusters clusters{first_centres(x, groups, random_stream(config.seed, "router fit", restart))};
  at::Tensor before;  // groups of the previous iteration
  for (int64_t i = 0; i < config.iterations; ++i) {
    const at::Tensor scores = scores_of(x, clusters.centres, spherical);
    const at::Tensor group = (scores + balance_offsets(scores)).argmax(1);
    if (before.defined() && at::equal(group, before)) break;
    before = group;
    const at::Tensor member = group.unsqueeze(1).eq(at::arange(groups, group.options())).to(x.dtype());  // [n, M]
    const at::Tensor count = member.sum(0).unsqueeze(1);
    const at::Tensor mean = member.t().matmul(x) / count.clamp_min(1);
    clusters.score = scores.gather(1, group.unsqueeze(1)).mean().item<double>();
    clusters.centres = at::where(count > 0, spherical ? unit(mean) : mean, clusters.centres);
  }
  return clusters;
}

at::Tensor best_centres(const at::Tensor& x, int64_t groups, const RouterFitConfig& config) {
  Clusters best;
  for (int64_t i = 0; i < config.restarts; ++i) {
    const Clusters found = cluster(x, groups, config, i);
    if (found.score > best.score || !best.centres.defined()) best = found;
  }
  return best.centres;
}

// τ with mean max softmax(τ r) = confidence, which rises with τ; equal rows have no such τ and get 1.
double gate_scale(const at::Tensor& logits, double confidence) {
  const double deviation = logits.std().item<double>();
  if (logits.size(1) == 1 || !(deviation > 0)) return 1.0;
  double low = 1e-4 / deviation, high = 1e4 / deviation;
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    const double mean = at::softmax(logits * middle, 1).amax(1).mean().item<double>();
    (mean < confidence ? low : high) = middle;
  }
  return std::sqrt(low * high);
}

}  // namespace

void RouterFitConfig::validate() const {
  check(confidence > 0 && confidence < 1, "confidence = ", confidence, ", expected a number between 0 and 1");
  check(iterations >= 1, "iterations = ", iterations, ", expected 1 or more");
  check(restarts >= 1, "restarts = ", restarts, ", expected 1 or more");
}

at::Tensor balance_offsets(const at::Tensor& scores) {
  constexpr int kLevels = 12, kRounds = 5;
  const int64_t groups = scores.size(1);
  const at::Tensor spread = (scores - scores.mean(1, /*keepdim=*/true)).std(/*unbiased=*/false).clamp_min(1e-30);
  at::Tensor offsets = at::zeros({groups}, scores.options());
  for (int level = 0; level < kLevels; ++level) {
    const at::Tensor temperature = spread * std::pow(0.5, level);
    for (int round = 0; round < kRounds; ++round) {
      const at::Tensor share = at::softmax((scores + offsets) / temperature, 1).mean(0).clamp_min(1e-30);
      offsets = offsets - temperature * (share * static_cast<double>(groups)).log();
    }
  }
  return offsets - offsets.mean();
}

RouterWeights fit_router(const at::Tensor& x, int64_t sets, int64_t groups, const RouterFitConfig& config,
                         const at::Tensor& embedding) {
  config.validate();
  check(x.dim() == 2 && sets > 0 && x.size(0) % sets == 0, "router fit: x is ", x.sizes(), ", expected rows of ", sets,
        " sets of one size");
  check(groups > 0 && x.size(0) >= groups, "router fit: ", x.size(0), " rows for ", groups,
        " groups, expected at least one row per group");
  const at::NoGradGuard no_grad;
  const bool euclidean = config.metric == FitMetric::kEuclidean, spread = config.metric == FitMetric::kSpread;
  const at::Tensor mean = x.to(at::kFloat).mean(0);  // [C]
  at::Tensor rows = x.to(at::kFloat) - mean, into = embedding;
  if (spread) into = whitening(rows);
  if (into.defined()) rows = rows.matmul(into);  // [n, r]
  const at::Tensor differences = set_differences(rows, sets);
  rows = without(differences, rows);
  const at::Tensor centres = spread ? without(differences, random_directions(groups, rows, config))
                                    : best_centres(euclidean ? rows : unit(rows), groups, config);
  const at::Tensor scores = scores_of(rows, centres, !euclidean);
  const at::Tensor offsets = balance_offsets(scores);
  const double scale = gate_scale(scores + offsets, config.confidence);
  // Centres are in the image of P, so P need not be applied to W.
  const at::Tensor directions = into.defined() ? centres.matmul(into.t()) : centres;  // [M, C]
  const at::Tensor weight = directions * (euclidean ? 2 * scale : scale);
  const at::Tensor constant = euclidean ? offsets - centres.square().sum(1) : offsets;
  return {weight, constant * scale - weight.matmul(mean)};
}

}  // namespace moga
