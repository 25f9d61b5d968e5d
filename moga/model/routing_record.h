// RoutingRecorder: what the routers of chosen layers do in chosen steps, observed while a model is evaluated.
//
//   x of a layer's attention → p = softmax(W x + b), g = argmax p → numbers over all tokens, and maps
//
// Only observed evaluations wait for the device; without an observer nothing runs. On the host it keeps, for each
// chosen layer, the group of every token in the last observed step (one byte a token) and the maps, whose size the
// caller bounds by the latent frames that it keeps. With several videos in a batch (guidance) it records the first.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "moga/model/routing_numbers.h"
#include "moga/model/video_model.h"

namespace moga {

inline constexpr int64_t kMostInspectedGroups = 256;  // a group number is stored in a byte

// An evaluation of the model whose routing is recorded.
struct ObservedStep {
  int64_t number = 0;   // of the sampler step, from 1
  double timestep = 0;  // in [0, 1000]
  size_t expert = 0;    // 0, or 1 for the low-noise expert
};

// Of the kept latent frames, uint8 [F', Y, X] on the CPU.
struct RoutingMaps {
  at::Tensor group;
  at::Tensor gate;     // round(255 p(g(x)|x))
  at::Tensor entropy;  // round(255 · entropy / ln M)
};

struct RoutingRecord {
  size_t step = 0;  // index into RoutingRecorder::steps()
  int64_t layer = 0;
  RoutingNumbers numbers = {};
  RoutingMaps maps = {};
  // Adjusted Rand index with the chosen layer before it in the same step, and with the same layer in the observed step
  // before it.
  std::optional<double> as_previous_layer = {}, as_previous_step = {};
};

// A record's routing before it is reduced to maps, on the device: x [N, C] and group int64 [N] of the first video.
using RoutingListener = std::function<void(const RoutingRecord& record, const at::Tensor& x, const at::Tensor& group)>;

struct RoutingRecorderConfig {
  VideoShape video = {};
  std::vector<int64_t> layers = {};      // in ascending order
  std::vector<ObservedStep> steps = {};  // in the order of evaluation
  std::vector<int64_t> frames = {};      // latent frames that maps keep, in ascending order
  RoutingListener listener = {};         // may be empty
};

class RoutingRecorder {
 public:
  // `experts` must outlive it. Throws when a router has more than kMostInspectedGroups groups.
  RoutingRecorder(const std::vector<VideoModelPtr>& experts, RoutingRecorderConfig config);

  // For the evaluation of steps()[step]; valid during the lifetime of this object. Layers without a router are skipped.
  AttentionObserver observer(size_t step);

  const std::vector<ObservedStep>& steps() const { return config_.steps; }
  // In the order of evaluation: step after step, layer after layer.
  const std::vector<RoutingRecord>& records() const { return records_; }

 private:
  void record(size_t step, int64_t layer, const at::Tensor& x);
  // [S][M], counted on the device.
  Counts count_by_shot(const at::Tensor& group, int64_t groups) const;
  std::optional<double> agreement(int64_t layer, const at::Tensor& group) const;

  RoutingRecorderConfig config_;
  std::vector<std::map<int64_t, std::pair<at::Tensor, at::Tensor>>> routers_;  // [expert][layer] → weight, bias
  std::map<int64_t, at::Tensor> last_;  // [layer] → uint8 [N] on the CPU, of the last record of this layer
  size_t last_step_ = 0;
  int64_t last_layer_ = -1;  // recorded in last_step_
  std::vector<RoutingRecord> records_;
};

// Layers of this model that have a router.
std::vector<int64_t> routed_layers(const VideoModelConfig& config);

}  // namespace moga
