// Denoiser: the velocity of a batch of videos as a function of one flat tensor, which is what samplers need. The only
// place that evaluates a model for a sampler.
//
//   x [E] → views of each video → model, packed → velocity [E]
//   with guidance s ≠ 1, every video is in the batch twice, with its captions and with its negative prompts:
//   v = v_negative + s · (v_captions − v_negative)
//
// It knows neither schedules nor solvers (moga/sampler), and encodes no text.
#pragma once

#include "moga/model/packed_latents.h"
#include "moga/model/video_model.h"

namespace moga {

struct DenoiserInput {
  std::vector<VideoShape> videos;
  // [S, text_tokens, text_dim], S shots of all videos: embeddings of their captions. With guidance [2S, …]: those of
  // the negative prompt of each shot follow.
  at::Tensor text;
  double guidance = 1;  // scale s; 1: the captions alone are evaluated
  at::ScalarType dtype = at::kFloat;
};

// One evaluation.
struct DenoiserStep {
  double timestep = 0;              // in [0, 1000], of all videos
  bool full_attention = false;      // in all layers
  AttentionObserver observer = {};  // with guidance it sees the videos twice, captions first
};

struct DenoiserOutput {
  at::Tensor velocity;         // [E] float32
  at::Tensor group_histogram;  // see VideoModelOutput
};

// v_negative + s · (v_captions − v_negative)
at::Tensor guided_velocity(const at::Tensor& captions, const at::Tensor& negative, double scale);

class Denoiser {
 public:
  // `model` must outlive it.
  Denoiser(VideoModel& model, DenoiserInput input);

  // x [E]: the latents of all videos, packed.
  DenoiserOutput evaluate(const at::Tensor& x, const DenoiserStep& step) const;
  // Of each video, for noise and for the result.
  const std::vector<std::vector<int64_t>>& latent_shapes() const { return shapes_; }

 private:
  bool guided() const { return input_.guidance != 1.0; }

  VideoModel& model_;
  DenoiserInput input_;
  Layout layout_;  // of a whole evaluation
  std::vector<std::vector<int64_t>> shapes_;
};

}  // namespace moga
