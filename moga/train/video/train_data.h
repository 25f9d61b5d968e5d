// Latent shards → packed batches. All captions of a stage are tokenised once, and latents and ids stay on the device
// when they fit, so that making a batch is two concatenations and no host work to speak of. Which videos a train step
// sees, and which of them lose their captions, are functions of (seed, step): nothing of it is saved.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "moga/data/dataset/shards.h"
#include "moga/model/text/tokenizer.h"
#include "moga/train/video/flow_loss.h"

namespace moga {

struct TrainBatch {
  PackedLatents latents;
  Layout layout;
  at::Tensor ids;      // int64 [S_total, text_len] on the device
  at::Tensor lengths;  // int64 [S_total]
};

struct Pick {
  int64_t index = 0;     // of the video
  bool dropped = false;  // its captions are all replaced by the negative prompt
};

// The first latent frames of a video (0: all). The VAE is causal: they are the latents of its first pixel frames.
Sample first_frames(Sample sample, int64_t frames);

struct TrainDataConfig {
  std::filesystem::path folder = {};
  std::string negative_prompt = {};
  int64_t text_len = 512;
  std::vector<int64_t> patch_size = {1, 2, 2};
  c10::Device device = c10::Device(c10::kCPU);
  bool on_device = true;
  int64_t limit = 0;   // only the first videos; 0: all
  int64_t frames = 0;  // only the first latent frames of each, and their shots; 0: all
};

class TrainData {
 public:
  TrainData(const TrainDataConfig& config, const Tokenizer& tokenizer);

  int64_t size() const { return static_cast<int64_t>(videos_.size()); }
  TrainBatch batch(const std::vector<Pick>& picks) const;

 private:
  struct Video {
    at::Tensor latent;  // [C_z F Y' X'] flat
    std::vector<int64_t> latent_shape;
    VideoShape shape;
    int64_t first_caption = 0;  // row of ids_
  };
  Video read_video(const at::Tensor& latent, const std::vector<int64_t>& shot_frames) const;
  at::Tensor gather_latents(const std::vector<at::Tensor>& parts) const;

  TrainDataConfig config_;
  std::vector<Video> videos_;
  TokenBatch captions_;  // one row a shot of a video
  TokenBatch negative_;  // the negative prompt, a row for each shot of the video with most shots
};

// A permutation of the data for each epoch: position 0, 1, … of the stage → index of a video.
class DataOrder {
 public:
  DataOrder(uint64_t seed, std::string purpose, int64_t size);
  int64_t at(int64_t position);

 private:
  uint64_t seed_;
  std::string purpose_;
  int64_t size_;
  int64_t epoch_ = -1;
  std::vector<int64_t> permutation_;
};

// Whether each of `videos` videos of a train step loses its captions.
std::vector<bool> draw_dropout(uint64_t seed, int64_t step, int64_t videos, double probability);

}  // namespace moga
