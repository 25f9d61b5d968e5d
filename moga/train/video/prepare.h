// Training data, prepared once: stories are rendered and encoded by the VAE into latent shards, and a sentencepiece
// model is trained on their captions.
#pragma once

#include <filesystem>
#include <string>

#include "moga/core/choice.h"
#include "moga/data/dataset/images.h"
#include "moga/data/story/story.h"

namespace moga {

enum class EncodeMode { kAuto, kClip, kStream };
template <>
inline constexpr auto kChoices<EncodeMode> = std::array{
    Choice{EncodeMode::kAuto, "auto", "clip on CUDA, else stream"},
    Choice{EncodeMode::kClip, "clip", "whole clips, which is faster"},
    Choice{EncodeMode::kStream, "stream", "chunks in constant memory"},
};

struct PrepareConfig {
  std::string vae;
  std::string text_encoder;
  std::string tokenizer;
  int64_t text_len = 512;
  std::string negative_prompt;
  std::string out;
  int64_t count = 1000;
  int64_t first_seed = 0;
  int64_t batch = 4;
  int64_t samples_a_shard = 256;
  std::string device = "auto";
  std::string dtype = "auto";
  EncodeMode mode = EncodeMode::kAuto;
  ImagesConfig images;
  StoryConfig story;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("vae", vae, "VAE folder");
    field("text_encoder", text_encoder,
          "text encoder folder: its embeddings of the captions are stored too; empty: captions only");
    field("tokenizer", tokenizer, "sentencepiece model of the text encoder");
    field("text_len", text_len, "text tokens per caption that are embedded");
    field("negative_prompt", negative_prompt, "caption of the unconditional, embedded too");
    field("out", out, "folder of the shards");
    field("count", count, "stories");
    field("first_seed", first_seed, "seed of the first story; story i has seed first_seed + i");
    field("batch", batch, "stories encoded together");
    field("samples_a_shard", samples_a_shard, "stories per file");
    field("device", device, "auto, cpu, cuda, cuda:1");
    field("dtype", dtype, "of the VAE; auto: bfloat16 on CUDA, float32 on the CPU");
    field("mode", mode, "how the VAE encodes");
    field("images", images, "images of shots, for image-to-video models");
    field("story", story, "the stories");
  }
};

// Renders, encodes and writes config.count stories, and prepare.toml next to them. Latents are bfloat16. The folder
// appears under its name when all stories are written; an interrupted run leaves it under its temporary name. Returns
// how many were written: fewer when interrupted.
int64_t prepare_stories(const PrepareConfig& config);

// Trains a tokenizer on the captions of `count` stories.
void prepare_tokenizer(const StoryConfig& story, int64_t first_seed, int64_t count, int64_t vocab_size,
                       const std::filesystem::path& model);

}  // namespace moga
