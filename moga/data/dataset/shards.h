// Latent shards: videos encoded once and read many times. A shard is a safetensors file with a number of samples; a
// folder of shards is a data set, and dataset.json in it says how many shards and samples it has. Files are
// memory-mapped; sample i is read without reading the others.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "moga/data/dataset/images.h"

namespace moga {

struct Sample {
  at::Tensor latent;                  // [z, F, Y', X'] bfloat16 or float32, normalised
  std::vector<int64_t> shot_frames;   // latent frames of each shot
  std::vector<std::string> captions;  // one per shot
  // Stored text embeddings: one per shot, bfloat16 [text tokens, d]; empty when the data set has none.
  std::vector<at::Tensor> text = {};
  SampleImages images = {};
};

// The embedding of the prompt that replaces dropped captions, stored once per data set.
struct NegativeText {
  std::string prompt;
  at::Tensor text;  // bfloat16 [text tokens, d]; undefined when the data set has no embeddings
};

class ShardWriter {
 public:
  // Starts a new shard after `samples_a_shard` samples; files are named shard-00000.safetensors, ….
  ShardWriter(const std::filesystem::path& folder, int64_t samples_a_shard);
  ~ShardWriter();
  // All samples have text embeddings or none has; all have images in the same form.
  void add(const Sample& sample);
  void set_negative(const NegativeText& negative);
  // Writes the last shard and dataset.json. Without it the samples of an unfinished shard are lost.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class ShardDataset {
 public:
  // Throws one line that names the file when a shard is missing, damaged or foreign, or its metadata and tensors
  // disagree.
  // All shards are checked at once. At most `open_shards` stay open (0: all), others are opened again when needed, so
  // that memory does not grow with the data set.
  explicit ShardDataset(const std::filesystem::path& folder, size_t open_shards = 0);
  ~ShardDataset();
  ShardDataset(ShardDataset&&) noexcept;
  int64_t size() const;
  Sample get(int64_t index) const;  // may be called by several threads at once
  // [z, F, Y', X'] of a sample's latent, without reading it.
  const std::vector<int64_t>& latent_shape(int64_t index) const;
  NegativeText negative() const;
  const StoredImages& images() const;  // of all samples

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moga
