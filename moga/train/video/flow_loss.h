// The rectified-flow loss over a packed batch: x_t = (1 - t) x_0 + t ε, the model predicts ε - x_0, and the loss is the
// squared error averaged over the elements of all videos except those of given frames, plus the balance loss of the
// routers. Each video has its own t.
#pragma once

#include <functional>

#include "moga/core/choice.h"
#include "moga/model/image_condition.h"
#include "moga/model/packed_latents.h"
#include "moga/model/video_model.h"

namespace moga {

enum class Timesteps { kLogitNormal, kUniform };
template <>
inline constexpr auto kChoices<Timesteps> = std::array{
    Choice{Timesteps::kLogitNormal, "logit_normal", "u = sigmoid(mean + deviation · n), n normal"},
    Choice{Timesteps::kUniform, "uniform", "u uniform in (0, 1)"},
};

struct FlowConfig {
  Timesteps timesteps = Timesteps::kLogitNormal;
  double mean = 0.0;
  double deviation = 1.0;
  double shift = 3.0;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("timesteps", timesteps, "distribution of u");
    field("mean", mean, "of the logit of u");
    field("deviation", deviation, "of the logit of u");
    field("shift", shift, "t = s u / (1 + (s - 1) u): more weight on noise, as longer videos need");
  }
};

// The time at a quantile in (0, 1) of the distribution.
double time_at(const FlowConfig& config, double quantile);

// Times [videos] float32 in (0, 1), on the generator's device.
at::Tensor sample_times(const FlowConfig& config, int64_t videos, at::Generator generator);

struct FlowInput {
  PackedLatents latents;  // x_0
  at::Tensor noise;       // ε [E] float32
  at::Tensor times;       // [B] float32 in (0, 1)
  at::Tensor text;        // [S_total, text_len, text_dim]
  Layout layout;
  std::vector<int64_t> text_lengths = {};  // VideoModelInput's
  std::vector<at::Tensor> condition = {};  // likewise
  ImageTokens image = {};                  // likewise
  std::vector<GivenLatents> given = {};    // one per video, frames that replace the noisy ones in the input; or empty
};

struct FlowLoss {
  at::Tensor flow;             // [] float32: mean squared error
  at::Tensor balance;          // [] float32: balance loss; undefined without a router
  at::Tensor group_histogram;  // [layers, M] int64; undefined without a router
  at::Tensor gate_sum;         // VideoModelOutput's
};

// VideoModel::forward, or anything of its signature.
using VelocityModel = std::function<VideoModelOutput(const VideoModelInput&)>;

// Elements of these videos that count in the loss: all but those of given frames.
int64_t counted_elements(const PackedLatents& latents, const std::vector<GivenLatents>& given);

FlowLoss flow_loss(const VelocityModel& model, const FlowInput& input);

}  // namespace moga
