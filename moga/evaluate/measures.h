// Measures of films, computed from features of their frames: arithmetic alone, no model and no file.
//
//   consistency   VBench's form for subjects and backgrounds: the mean over frames t ≥ 1 of
//                 (max(0, cos(f_t, f_0)) + max(0, cos(f_t, f_{t-1}))) / 2
//   cross-shot    MoGA's: mean cosine of frames of different shots, over all pairs of shots
//   alignment     mean over shots of the mean cosine of the shot's frames and its caption
//   SCA           HoloCine's shot cut accuracy, exp(-(deviations + penalties) / frames)
//
// Features are unit vectors, float32 on the CPU. Sums are float64. docs/evaluate.md has the sources.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace moga {

// One frame after the other; memory for two features per shot.
class Consistency {
 public:
  // `feature`: [D]; `shot`: 0 for the first frame, then the same number or the next one.
  void add(const at::Tensor& feature, int64_t shot);

  // Nothing for a film of one frame. `sum` over `frames` frames: VBench's mean over several films weights frames alike.
  std::optional<double> film() const;
  double sum() const { return sum_; }
  int64_t frames() const { return frames_; }
  // The same with each shot as a film of its own, over the frames of all shots.
  std::optional<double> within_shots() const;
  // The mean over all orders of the shots after the first: frames at cuts get other neighbours.
  std::optional<double> shuffled_shots() const;

 private:
  std::vector<at::Tensor> firsts_, lasts_;  // of each shot
  double sum_ = 0, within_sum_ = 0, at_cuts_ = 0;
  int64_t frames_ = 0, within_frames_ = 0;
};

// Mean feature of each shot, [S, D], of the frames that were added. The mean cosine of the frames of two shots is the
// product of their means.
class ShotMeans {
 public:
  void add(const at::Tensor& feature, int64_t shot);
  int64_t shots() const { return static_cast<int64_t>(sums_.size()); }
  bool complete(int64_t shots) const;  // whether shots 0 to shots - 1 have a frame
  at::Tensor means() const;

 private:
  std::vector<at::Tensor> sums_;  // float64
  std::vector<int64_t> counts_;
};

// Whether frame `frame` of a shot of `frames` is one of `samples` evenly spaced ones.
bool is_sample(int64_t frame, int64_t frames, int64_t samples);

// means: [S, D]. Nothing for less than two shots.
std::optional<double> cross_shot(const at::Tensor& means);

struct Alignment {
  double value = 0;
  std::optional<double> shuffled;  // shots with the captions of the other shots
};
Alignment text_alignment(const at::Tensor& means, const at::Tensor& captions);  // [S, D] each

struct CutScore {
  double accuracy = 0;              // SCA, in (0, 1]
  std::optional<double> deviation;  // mean frames between an expected cut and the one found for it
  int64_t expected = 0, found = 0;
  int64_t missed = 0, extra = 0;
};
// Cuts are the numbers of the frames that begin shots, rising. As many pairs as possible, with the least sum of
// deviations. A cut without a partner counts as the mean length of the expected shots: the paper leaves it open.
CutScore score_film_cuts(const std::vector<int64_t>& expected, const std::vector<int64_t>& found, int64_t frames);

}  // namespace moga
