// TransNetV2 (Souček and Lokoč, arXiv 2008.04838): for each of 100 frames of 48 x 27 pixels, the probability that a
// shot ends there (the middle of a gradual transition), and that it is within a transition.
//
//   features   3 stacks of 2 blocks of (2+1)D convolutions, dilated by 1, 2, 4 and 8 frames, batch norm, 2 x 2 mean
//   pooling neighbours cosine similarity of the features' means, and of 512-bin colour histograms, to the 101 frames
//   around p          sigmoid(linear(relu(linear(all of it)))), with a last linear layer for each of the two
//
// A film is seen in windows of 100 frames that advance by 50, of which the middle 50 are used. Three or more
// frames within a transition are a gradual one (gaps of up to 4 frames are closed: the middle of a fade through black
// is often missing); runs of ends that meet none are hard cuts. Weights: safetensors made by
// tools/convert_transnetv2.py; sizes are read from their shapes.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "moga/data/cuts/cuts.h"

namespace moga {

class TransNet {
 public:
  static constexpr int64_t kWidth = 48, kHeight = 27;

  static constexpr int64_t kWindow = 100, kStep = 50, kMargin = 25;  // frames

  struct Predictions {
    at::Tensor ends, within;  // float [T] on the CPU
  };
  // Results of a window that are those of the next one too, 50 frames earlier.
  struct Shared {
    std::vector<at::Tensor> space;  // of each block
  };

  // Throws one line when a tensor is missing, left over or has another shape.
  TransNet(const std::filesystem::path& weights, c10::Device device);
  // frames: uint8 [T, 27, 48, 3]. `shared`: of the window before, whose last 50 frames are the first 50 of this one;
  // empty for the first. Then of this window.
  Predictions operator()(const at::Tensor& frames, Shared& shared) const;

 private:
  // The four dilations of a block: one convolution over space for all, one over time each; batch norm is in the latter.
  struct Block {
    at::Tensor space;              // [8 F, in, 3, 3]
    std::vector<at::Tensor> time;  // [F, 2 F, 3, 1]
    std::vector<at::Tensor> bias;  // [F]
  };
  struct Linear {
    at::Tensor weight, bias;
  };
  class Reader;
  static at::Tensor over_time(const Block& block, const at::Tensor& space);

  c10::Device device_;
  std::vector<std::vector<Block>> stacks_;
  Linear projection_, similarity_, histogram_, hidden_, ends_, within_;
};

// The boundaries of a film from its frames' probabilities. Runs at its first and last frame divide nothing.
std::vector<Boundary> transnet_boundaries(const std::vector<float>& ends, const std::vector<float>& within,
                                          double threshold, double within_threshold);

class TransNetCuts : public CutDetector {
 public:
  explicit TransNetCuts(const CutConfig& config);
  int64_t width() const override { return TransNet::kWidth; }
  int64_t height() const override { return TransNet::kHeight; }
  void add(const uint8_t* rgb) override;
  std::vector<Boundary> finish() override;
  // Of all frames, after finish().
  const std::vector<float>& ends() const { return ends_; }
  const std::vector<float>& within() const { return within_; }

 private:
  void push(const at::Tensor& frame);

  double threshold_, within_threshold_;
  TransNet net_;
  TransNet::Shared shared_;
  std::deque<at::Tensor> window_;  // [27, 48, 3]
  int64_t frames_ = 0;
  std::vector<float> ends_, within_;
};

}  // namespace moga
