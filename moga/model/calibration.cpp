// See calibration.h. Sums stay on the device until a score is asked for, so that an observed forward pass waits for
// nothing but its own full attention.
#include "moga/model/calibration.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moga/core/check.h"
#include "moga/core/module_io.h"
#include "moga/core/random.h"
#include "moga/model/layers/kept_precision.h"

namespace moga {
namespace {

void add_to(at::Tensor& sum, const at::Tensor& value) { sum = sum.defined() ? sum + value : value; }

at::Tensor squared_distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kFloat) - b).square().sum(at::kDouble);
}

Router make_router(const RouterWeights& weights, Gate gate, at::Device device) {
  Router router(weights.weight.size(1), weights.weight.size(0), gate);
  router->weight = weights.weight.to(device);
  router->bias = weights.bias.to(device);
  return router;
}

// E [C, r] with E Eᵀ = the positive part of Σ_h (Q_hᵀ K_h + K_hᵀ Q_h) / 2, Q = norm_q · W_q: rows of x E are similar
// when the tokens attend to each other, whatever their positions (the rotary embedding is ignored).
at::Tensor attention_embedding(const TensorMap& model, int64_t layer, at::Device device) {
  const std::string prefix = "blocks." + std::to_string(layer) + ".self_attn.";
  const auto projection = [&](const std::string& name) {
    const at::Tensor weight = model.at(prefix + name + ".weight").to(device, at::kFloat);
    const auto norm = model.find(prefix + "norm_" + name + ".weight");
    return norm == model.end() ? weight : norm->second.to(device, at::kFloat).unsqueeze(1) * weight;
  };
  const at::Tensor product = projection("q").t().matmul(projection("k"));  // [C, C]
  const auto [size, directions] = at::linalg_eigh((product + product.t()) / 2);
  return directions * size.clamp_min(0).sqrt();
}

RouterWeights fit_candidate(RouterMethod method, const at::Tensor& rows, int64_t sets, int64_t groups,
                            RouterFitConfig config, const TensorMap& model, int64_t layer) {
  if (method == RouterMethod::kSpread) config.metric = FitMetric::kSpread;
  if (method != RouterMethod::kAttention) return fit_router(rows, sets, groups, config);
  return fit_router(rows, sets, groups, config, attention_embedding(model, layer, rows.device()));
}

}  // namespace

std::vector<RouterMethod> candidate_methods(RouterMethod method) {
  if (method != RouterMethod::kAuto) return {method};
  return {RouterMethod::kTokens, RouterMethod::kAttention, RouterMethod::kSpread};
}

VisualAttentionConfig calibrated_attention(const VideoModelConfig& model) {
  const VisualAttentionConfig config = model.attention().with_kind(AttentionKind::kMoga);
  config.validate();
  check(config.routed, "calibration: routed = false in the model's config, so it has no routers to calibrate");
  return config;
}

RouterInputs::RouterInputs(int64_t sets, int64_t quota, int64_t seed) : sets_(sets), quota_(quota), seed_(seed) {
  check(sets >= 1 && quota >= 1, "calibration: ", quota, " rows of ", sets, " sets, expected 1 or more");
}

AttentionObserver RouterInputs::observer(int64_t set) {
  return [this, set](int64_t layer, const at::Tensor& x, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
    std::vector<at::Tensor>& pieces = kept_[layer][set];
    const auto name = static_cast<uint64_t>((layer * sets_ + set) * 1'000'000) + pieces.size();
    const at::Tensor rows =
        at::randint(x.size(0), {quota_}, random_stream(seed_, "router inputs", name), at::TensorOptions(at::kLong));
    pieces.push_back(x.index_select(0, rows.to(x.device())).cpu());
  };
}

std::vector<LayerCalibration> RouterInputs::fit(const VideoModel& model, RouterMethod method,
                                                const RouterFitConfig& config, at::Device device,
                                                const std::function<void()>& on_candidate) const {
  const at::NoGradGuard no_grad;
  const VisualAttentionConfig attention = calibrated_attention(model.config());
  const TensorMap tensors = named_tensors(model);
  std::vector<LayerCalibration> fitted;
  for (const auto& [layer, sets] : kept_) {
    if (!attention.of_layer(layer).uses_router()) continue;
    std::vector<at::Tensor> rows;
    for (const auto& [set, pieces] : sets) rows.insert(rows.end(), pieces.begin(), pieces.end());
    fitted.push_back({.layer = layer});
    const at::Tensor all = at::cat(rows).to(device);
    for (const RouterMethod candidate : candidate_methods(method)) {
      fitted.back().candidates[name_of(candidate)] =
          fit_candidate(candidate, all, sets_, attention.groups, config, tensors, layer);
      if (on_candidate) on_candidate();
    }
  }
  return fitted;
}

RouterMeasurement::RouterMeasurement(const VideoModel& model, const std::vector<LayerCalibration>& layers, int64_t seed,
                                     at::Device device)
    : combine_(model.config().attention().combine),
      mean_(calibrated_attention(model.config())),
      lse_(mean_),
      device_(device) {
  mean_.combine = Combine::kMean;
  lse_.combine = Combine::kLse;
  const TensorMap tensors = named_tensors(model);
  for (const LayerCalibration& layer : layers) {
    auto& routers = routers_[layer.layer];
    for (const auto& [name, weights] : layer.candidates)
      routers.emplace(name, make_router(weights, mean_.gate, device));
    const RouterWeights& fitted = layer.candidates.begin()->second;
    const RouterWeights fresh{
        0.02 * at::randn(fitted.weight.sizes(), random_stream(seed, "random router", layer.layer)),
        at::zeros(fitted.bias.sizes())};
    routers.emplace("random", make_router(fresh, mean_.gate, device));
    const std::string prefix = router_prefix(layer.layer);
    if (const auto weight = tensors.find(prefix + "weight"); weight != tensors.end())
      routers.emplace("trained", make_router({weight->second, tensors.at(prefix + "bias")}, mean_.gate, device));
  }
}

AttentionObserver RouterMeasurement::observer(const Layout& layout) {
  const auto groupings = std::make_shared<const StaticGroupings>(static_groupings(layout, mean_, device_));
  return [this, groupings](int64_t layer, const at::Tensor& x, const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v) {
    if (routers_.contains(layer)) measure(layer, x, q, k, v, *groupings);
  };
}

void RouterMeasurement::measure(int64_t layer, const at::Tensor& x, const at::Tensor& q, const at::Tensor& k,
                                const at::Tensor& v, const StaticGroupings& groupings) {
  const at::Tensor full =
      visual_attention(q, k, v, nullptr, groupings, mean_.with_kind(AttentionKind::kFull)).to(at::kFloat);  // [N, H, D]
  for (auto& [name, router] : routers_.at(layer)) {
    const Routing routing = router->forward(x, groupings.layout);
    Sums& sums = sums_[layer][name];
    sums.add(routing, groupings.layout);
    add_to(sums.full, full.square().sum(at::kDouble));
    add_to(sums.error_mean, squared_distance(visual_attention(q, k, v, &routing, groupings, mean_), full));
    add_to(sums.error_lse, squared_distance(visual_attention(q, k, v, &routing, groupings, lse_), full));
  }
}

void RouterMeasurement::choose(std::vector<LayerCalibration>& layers) const {
  const auto error = [&](const RouterScore& score) {
    return combine_ == Combine::kLse ? score.error_lse : score.error_mean;
  };
  for (LayerCalibration& layer : layers) {
    for (const auto& [name, sums] : sums_.at(layer.layer)) layer.scores[name] = sums.score();
    for (const auto& [name, weights] : layer.candidates)
      if (layer.method.empty() || error(layer.scores.at(name)) < error(layer.scores.at(layer.method)))
        layer.method = name;
    layer.scores["calibrated"] = layer.scores.at(layer.method);
  }
}

void RouterMeasurement::Sums::add(const Routing& routing, const Layout& layout) {
  const at::Tensor counts = group_histogram(routing, layout).to(at::kDouble);  // [B, M]
  const at::Tensor share = counts / counts.sum(1, /*keepdim=*/true);
  smallest = smallest.defined() ? at::minimum(smallest, share.min()) : share.min();
  largest = largest.defined() ? at::maximum(largest, share.max()) : share.max();
  add_to(balance, balance_loss(routing, layout));
  add_to(gate, routing.probabilities.amax(1).mean());
  ++count;
}

RouterScore RouterMeasurement::Sums::score() const {
  const auto value = [](const at::Tensor& x) { return x.to(at::kDouble).item<double>(); };
  const double size = std::max(value(full), 1e-300), times = static_cast<double>(count);
  return {.smallest = value(smallest),
          .largest = value(largest),
          .balance = value(balance) / times,
          .gate = value(gate) / times,
          .error_mean = std::sqrt(value(error_mean) / size),
          .error_lse = std::sqrt(value(error_lse) / size)};
}

}  // namespace moga
