// Denoiser: the velocity of a batch of videos as a function of one flat tensor, which is what samplers need. The only
// place that evaluates a model for a sampler.
//
//   x [E] → views of each video → model, packed → velocity [E]
//   with guidance s ≠ 1, every video is in the batch twice, with its captions and with its negative prompts:
//   v = v_negative + s · (v_captions − v_negative)
//   with given frames (Wan2.2-TI2V-5B), the model sees these instead of x's, with timestep 0; what x becomes there is
//   ignored
//   with two experts (Wan2.2), steps at and above a timestep evaluate the first model, steps below it the second, each
//   with a guidance of its own; the one that does not compute may rest on the host (VideoModel::rest)
//
// On a mesh guidance × sequence every rank calls it with the same x and gets the same velocity. With two guidance ranks
// one half of the mesh evaluates the captions and the other the negative prompts; only the velocity is exchanged
// between them. The ranks of a half share the videos: a slice of the tokens each.
//
// It knows neither schedules nor solvers (moga/sampler), and encodes no text.
#pragma once

#include <optional>

#include "moga/model/image_condition.h"
#include "moga/model/packed_latents.h"
#include "moga/model/video_model.h"
#include "moga/parallel/mesh.h"

namespace moga {

// The second of two experts: it computes the steps at low noise.
struct LowNoiseExpert {
  VideoModel* model = nullptr;  // must outlive the Denoiser
  double below = 0;             // steps with a timestep below this, in [0, 1000], are its own
  double guidance = 1;
};

struct DenoiserInput {
  std::vector<VideoShape> videos;
  // [S, text_tokens, text_dim], S shots of all videos: embeddings of their captions. With guidance in any step
  // [2S, …]: those of the negative prompt of each shot follow.
  at::Tensor text;
  // VideoModelInput's, of the videos and their shots; the negative prompts see the same images.
  std::vector<at::Tensor> condition = {};
  ImageTokens image = {};
  std::vector<GivenLatents> given = {};  // one per video: frames that the model sees instead of those of x; empty: none
  double guidance = 1;                   // scale s; 1: the captions alone are evaluated
  at::ScalarType dtype = at::kFloat;
  std::optional<LowNoiseExpert> low_noise = {};
  std::vector<int64_t> text_lengths = {};  // VideoModelInput's, of all rows of `text`; empty: all rows are text tokens
  Mesh mesh = {};                          // Mesh::generation; two guidance ranks need a guidance other than 1
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
  size_t expert = 0;           // that computed it: 0, or 1 for the low-noise expert
};

// v_negative + s · (v_captions − v_negative)
at::Tensor guided_velocity(const at::Tensor& captions, const at::Tensor& negative, double scale);

class Denoiser {
 public:
  // `model` must outlive it.
  Denoiser(VideoModel& model, DenoiserInput input);

  // x [E]: the latents of all videos, packed.
  DenoiserOutput evaluate(const at::Tensor& x, const DenoiserStep& step) const;
  // x with the given frames in their places: what the model sees, and what a sampled x is to become.
  at::Tensor with_given(const at::Tensor& x) const;
  // Of each video, for noise and for the result.
  const std::vector<std::vector<int64_t>>& latent_shapes() const { return shapes_; }

 private:
  // A model and what it is given besides latents, for an evaluation of this rank: twice the videos where it evaluates
  // captions and negative prompts together.
  struct Expert {
    VideoModel* model;
    double guidance;
    VideoModelInput fixed;
    bool guided() const { return guidance != 1.0; }
  };
  Expert make_expert(VideoModel& model, double guidance) const;
  void check_given() const;
  size_t expert_at(double timestep) const;
  void wake(size_t expert) const;
  bool split() const { return input_.mesh.guidance().size() > 1; }
  // Velocities of captions and of negative prompts, from those that this rank's half of the mesh evaluated.
  std::pair<at::Tensor, at::Tensor> both_halves(const VideoModelOutput& output) const;

  DenoiserInput input_;
  std::vector<Expert> experts_;  // one, or two: high noise, low noise
  std::vector<std::vector<int64_t>> shapes_;
  std::vector<at::Tensor> given_rows_;  // the frames of each video's GivenLatents, on the device
};

}  // namespace moga
