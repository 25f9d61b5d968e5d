// See routing_record.h. Routing is computed again from the layer's input, by the operator that the layer itself uses.
#include "moga/model/routing_record.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "moga/attention/route.h"
#include "moga/core/check.h"
#include "moga/core/module_io.h"
#include "moga/model/layers/kept_precision.h"

namespace moga {
namespace {

// [a][b]: how often a value a of `first` meets b of `second`; both [N], of any integral dtype.
Counts contingency(const at::Tensor& first, int64_t rows, const at::Tensor& second, int64_t columns) {
  const at::Tensor index = first.to(at::kLong) * columns + second.to(at::kLong);
  const at::Tensor table = at::bincount(index, {}, rows * columns).cpu();
  Counts counts(rows, std::vector<int64_t>(columns));
  const auto* values = table.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) counts[row][column] = values[row * columns + column];
  return counts;
}

at::Tensor as_bytes(const at::Tensor& fraction) {
  return at::nan_to_num(fraction.to(at::kFloat) * 255, 0).round().clamp(0, 255).to(at::kByte);
}

// −Σ p ln p / ln M of each token; 0 for one group.
at::Tensor relative_entropy(const at::Tensor& p) {
  if (p.size(1) == 1) return at::zeros({p.size(0)}, p.options());
  return -at::special_xlogy(p, p).sum(1) / std::log(static_cast<double>(p.size(1)));
}

// M Σ_i F_i P_i (attention/balance_loss.h).
double balance_of(const std::vector<int64_t>& counts, const at::Tensor& p) {
  const at::Tensor mean = p.to(at::kDouble).mean(0).cpu();
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) sum += static_cast<double>(counts[i]) * mean.const_data_ptr<double>()[i];
  return static_cast<double>(counts.size()) * sum / static_cast<double>(p.size(0));
}

}  // namespace

std::vector<int64_t> routed_layers(const VideoModelConfig& config) {
  std::vector<int64_t> layers;
  for (int64_t layer = 0; layer < config.shape().layers; ++layer)
    if (config.attention().of_layer(layer).uses_router()) layers.push_back(layer);
  return layers;
}

RoutingRecorder::RoutingRecorder(const std::vector<VideoModelPtr>& experts, RoutingRecorderConfig config)
    : config_(std::move(config)) {
  for (const int64_t frame : config_.frames)
    check(frame >= 0 && frame < config_.video.frames, "routing: maps of latent frame ", frame, ", the video has ",
          config_.video.frames);
  for (const VideoModelPtr& expert : experts) {
    const int64_t groups = expert->config().attention().groups;
    check(groups <= kMostInspectedGroups, "routing: the model has ", groups, " groups, expected at most ",
          kMostInspectedGroups);
    const TensorMap tensors = named_tensors(*expert);
    auto& routers = routers_.emplace_back();
    for (const int64_t layer : routed_layers(expert->config()))
      routers[layer] = {tensors.at(router_prefix(layer) + "weight"), tensors.at(router_prefix(layer) + "bias")};
  }
}

AttentionObserver RoutingRecorder::observer(size_t step) {
  check(step < config_.steps.size(), "routing: step ", step, " of ", config_.steps.size());
  return [this, step](int64_t layer, const at::Tensor& x, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
    if (std::ranges::binary_search(config_.layers, layer) && routers_.at(config_.steps[step].expert).contains(layer))
      record(step, layer, x);
  };
}

Counts RoutingRecorder::count_by_shot(const at::Tensor& group, int64_t groups) const {
  const VideoShape& video = config_.video;
  Counts counts;
  for (int64_t shot = 0; shot < video.shots(); ++shot) {
    const int64_t begin = video.begin_of_shot(shot), end = video.begin_of_shot(shot + 1);
    const at::Tensor own = group.slice(0, begin * video.frame_tokens(), end * video.frame_tokens());
    counts.push_back(contingency(at::zeros_like(own), 1, own, groups).front());
  }
  return counts;
}

std::optional<double> RoutingRecorder::agreement(int64_t layer, const at::Tensor& group) const {
  const auto last = last_.find(layer);
  if (last == last_.end()) return std::nullopt;
  // Two experts may have different numbers of groups.
  return adjusted_rand_index(
      contingency(last->second.to(group.device()), kMostInspectedGroups, group, kMostInspectedGroups));
}

void RoutingRecorder::record(size_t step, int64_t layer, const at::Tensor& all) {
  const at::NoGradGuard no_grad;
  const VideoShape& video = config_.video;
  check(all.size(0) >= video.tokens(), "routing: ", all.size(0), " tokens, the video has ", video.tokens());
  const at::Tensor x = all.slice(0, 0, video.tokens());
  const auto& [weight, bias] = routers_.at(config_.steps[step].expert).at(layer);
  const Routed routed = route(x, weight.to(x.device()), bias.to(x.device()));
  const at::Tensor entropy = relative_entropy(routed.probabilities);

  RoutingRecord record{.step = step, .layer = layer};
  record.numbers.shot_counts = count_by_shot(routed.group, weight.size(0));
  record.numbers.balance = balance_of(record.numbers.counts(), routed.probabilities);
  record.numbers.entropy = entropy.mean().item<double>();
  record.numbers.gate = routed.top.mean().item<double>();
  record.as_previous_step = agreement(layer, routed.group);
  if (last_layer_ >= 0 && last_step_ == step) record.as_previous_layer = agreement(last_layer_, routed.group);
  const at::Tensor kept = at::tensor(config_.frames, at::TensorOptions(at::kLong).device(x.device()));
  const auto map = [&](const at::Tensor& bytes) {
    return bytes.view({video.frames, video.rows, video.columns}).index_select(0, kept).cpu();
  };
  const at::Tensor group = routed.group.to(at::kByte);
  record.maps = {map(group), map(as_bytes(routed.top)), map(as_bytes(entropy))};
  if (config_.listener) config_.listener(record, x, routed.group);
  last_[layer] = group.cpu();
  last_step_ = step;
  last_layer_ = layer;
  records_.push_back(std::move(record));
}

}  // namespace moga
