// Latent shards: stories or videos encoded once, read many times. A shard is a safetensors file with a number of
// samples; a folder of shards is a dataset. Memory-mapped; sample i is found without reading the others.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace moga {

struct Sample {
  at::Tensor latent;                  // [z, F, Y', X'] bfloat16 or float32, normalised
  std::vector<int64_t> shot_frames;   // latent frames of each shot
  std::vector<std::string> captions;  // one a shot
};

class ShardWriter {
 public:
  // Begins a new shard after `samples_a_shard` samples; files are shard-00000.safetensors, ….
  ShardWriter(const std::filesystem::path& folder, int64_t samples_a_shard);
  ~ShardWriter();
  void add(const Sample& sample);
  void finish();  // writes what has not yet filled a shard; without it that is lost

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class ShardDataset {
 public:
  // Throws one line that names the file when a shard is damaged, foreign, or its metadata and tensors disagree.
  explicit ShardDataset(const std::filesystem::path& folder);
  ~ShardDataset();
  ShardDataset(ShardDataset&&) noexcept;
  int64_t size() const;
  Sample get(int64_t index) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moga
