// Denoiser: the velocity of a batch of videos as a function of one flat tensor, which is what samplers need. The only
// place that evaluates a model for a sampler.
//
//   x [E] → views of each video → model, packed → velocity [E]
//   with guidance s ≠ 1, every video is in the batch twice, with its captions and with its negative prompts:
//   v = v_negative + s · (v_captions − v_negative)
//
// On a mesh guidance × sequence every rank calls it with the same x and gets the same velocity. With two guidance ranks
// one half of the mesh evaluates the captions and the other the negative prompts; only the velocity is exchanged
// between them. The ranks of a half share the videos: a slice of the tokens each.
//
// It knows neither schedules nor solvers (moga/sampler), and encodes no text.
#pragma once

#include "moga/model/packed_latents.h"
#include "moga/model/video_model.h"
#include "moga/parallel/mesh.h"

namespace moga {

struct DenoiserInput {
  std::vector<VideoShape> videos;
  // [S, text_tokens, text_dim], S shots of all videos: embeddings of their captions. With guidance [2S, …]: those of
  // the negative prompt of each shot follow.
  at::Tensor text;
  double guidance = 1;  // scale s; 1: the captions alone are evaluated
  at::ScalarType dtype = at::kFloat;
  Mesh mesh = {};  // Mesh::generation; two guidance ranks need a guidance other than 1
};

// One evaluation.
struct DenoiserStep {
  double timestep = 0;              // in [0, 1000], of all videos
  bool full_attention = false;      // in all layers
  AttentionObserver observer = {};  // with guidance it sees the videos twice, captions first; on one rank only
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
  bool split() const { return input_.mesh.guidance().size() > 1; }
  // Velocities of captions and of negative prompts, from those that this rank's half of the mesh evaluated.
  std::pair<at::Tensor, at::Tensor> both_halves(const VideoModelOutput& output) const;

  VideoModel& model_;
  DenoiserInput input_;
  Layout layout_;    // of this rank's evaluation
  at::Tensor text_;  // of this rank's evaluation
  std::vector<std::vector<int64_t>> shapes_;
};

}  // namespace moga
