// Latent shards → packed batches. The latents of a stage are kept on the device, kept in host memory, or read ahead
// from the shards by threads with bounded memory (LatentCache). Captions come as text tokens or as stored text
// embeddings.
//
// Which videos a train step sees (batches.h), and which of them lose their captions, are functions of (seed, step):
// nothing of it is saved, and the cache changes nothing about it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "moga/data/dataset/read_ahead.h"
#include "moga/data/dataset/shards.h"
#include "moga/model/image_condition.h"
#include "moga/model/text/tokenizer.h"
#include "moga/train/video/config.h"
#include "moga/train/video/image_needs.h"

namespace moga {

struct TrainBatch {
  PackedLatents latents;
  Layout layout;
  at::Tensor ids;      // int64 [S_total, text_len] on the device
  at::Tensor lengths;  // int64 [S_total]
  at::Tensor text;     // stored embeddings [S_total, text_len, d] in place of ids and lengths, or undefined
  std::vector<int64_t> text_lengths = {};  // VideoModelInput's: the text tokens of each caption; empty: all text_len
  // For image-to-video models: VideoModelInput's condition and image, and the given latents, one entry per video.
  std::vector<at::Tensor> condition = {};
  ImageTokens image = {};
  std::vector<GivenLatents> given = {};
};

struct Pick {
  int64_t index = 0;     // of the video
  bool dropped = false;  // its captions are all replaced by the negative prompt
};

// The first latent frames of a video (0 for all). The VAE is causal: they are the latents of its first pixel frames.
// The same holds for the stored images; a shot that is cut short loses its last image.
Sample first_frames(Sample sample, int64_t frames);

struct TrainDataConfig {
  std::filesystem::path folder = {};
  std::string negative_prompt = {};
  int64_t text_len = 512;
  Strides patch = {1, 2, 2};  // latents per token
  c10::Device device = c10::Device(c10::kCPU);
  LatentCache cache = LatentCache::kDevice;
  c10::ScalarType text_dtype = c10::kFloat;  // of stored embeddings in a batch
  int64_t first = 0;                         // only videos from this one on, which then has index 0
  int64_t limit = 0;                         // only so many videos; 0: all
  int64_t frames = 0;                        // only the first latent frames of each, and their shots; 0: all
  ImageNeeds images = {};                    // what the data set must store of images
};

class TrainData {
 public:
  // Without a tokenizer the stored text embeddings are used; a data set that has none is an error.
  TrainData(const TrainDataConfig& config, const Tokenizer* tokenizer);
  ~TrainData();
  TrainData(TrainData&&) noexcept;

  int64_t size() const { return size_; }
  // Of each video.
  const std::vector<int64_t>& tokens() const { return tokens_; }
  TrainBatch batch(const std::vector<Pick>& picks) const;

  // kStream: begins to read the videos index_at(first), index_at(first + 1), …, at most `ahead` of them before their
  // batch asks for them. batch() must ask in this order. Without effect in the other modes.
  void read_ahead(std::function<int64_t(int64_t)> index_at, int64_t first, int64_t ahead);

 private:
  struct Video {
    at::Tensor latent;  // [C_z F Y' X'] flat
    std::vector<int64_t> latent_shape;
    VideoShape shape;
    TokenBatch tokens;             // one row per shot, on the device unless streamed
    std::vector<at::Tensor> text;  // stored embeddings, one per shot, on the host
    std::vector<int64_t> text_lengths;
    SampleImages images;         // `condition` or `latents` like `latent`; embeddings on the host
    std::vector<int64_t> given;  // the latent frames of images.latents
    int64_t index = 0;
  };
  Video make_video(int64_t index) const;  // everything on the host; called by several threads
  void keep_all();
  void count_tokens();
  std::shared_ptr<const Video> video(int64_t index) const;
  void add_captions(const Video& video, bool dropped, TokenBatch& tokens, std::vector<at::Tensor>& text) const;
  void add_images(const Video& video, TrainBatch& batch, std::vector<at::Tensor>& embeddings) const;
  at::Tensor pad(const std::vector<at::Tensor>& text) const;
  at::Tensor to_device(const at::Tensor& host) const;

  TrainDataConfig config_;
  const Tokenizer* tokenizer_;
  int64_t size_ = 0;
  std::vector<int64_t> tokens_;
  std::unique_ptr<ShardDataset> shards_;
  std::vector<std::shared_ptr<const Video>> videos_;  // empty when streamed
  TokenBatch negative_;                               // one row
  at::Tensor negative_text_;
  int64_t negative_length_ = 0;
  std::unique_ptr<ReadAhead<std::shared_ptr<const Video>>> ahead_;
};

// Whether each of `videos` videos of a train step loses its captions.
std::vector<bool> draw_dropout(uint64_t seed, int64_t step, int64_t videos, double probability);

}  // namespace moga
