// The settings of training a video transformer, as TOML: models, data by stage, flow, optimiser, what is written when.
// The complete result, defaults included, is printed and saved with every checkpoint.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "moga/model/adapter/low_rank.h"
#include "moga/model/layers/recompute.h"
#include "moga/model/text/text_encoder.h"
#include "moga/model/video_model.h"
#include "moga/parallel/mesh.h"
#include "moga/sampler/solver.h"
#include "moga/train/loop/ema.h"
#include "moga/train/loop/lr_schedule.h"
#include "moga/train/loop/optimizer.h"
#include "moga/train/video/flow_loss.h"

namespace moga {

// A stage trains on one folder of shards; the paper's stages are short clips first, then long multi-shot ones.
struct StageConfig {
  static constexpr int64_t kVideos = 16;

  std::string name = "main";
  std::string data;
  int64_t steps = 1000;
  std::optional<int64_t> batch;
  int64_t tokens_per_batch = 0;
  int64_t accumulation = 1;
  int64_t frames = 0;
  double lr = 1e-3;
  LrScheduleConfig schedule;

  // Videos of a train step by `batch`.
  int64_t videos() const { return batch.value_or(kVideos); }
  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("name", name, "name of the stage, in the log");
    field("data", data, "folder of latent shards");
    field("steps", steps, "train steps");
    field("batch", batch, "videos a train step; without it and tokens_per_batch: 16");
    field("tokens_per_batch", tokens_per_batch,
          "in place of batch: a train step takes the next videos as long as they have at most so many tokens; 0: by "
          "batch");
    field(
        "accumulation", accumulation,
        "pieces a batch is computed in, one after the other: less memory, same gradient; by tokens: on each data rank");
    field("frames", frames, "latent frames of a video that are trained on, from its first; 0: all");
    field("lr", lr, "learning rate");
    field("schedule", schedule, "learning rate over the stage's steps");
  }
};

enum class LatentCache { kDevice, kHost, kStream };
template <>
inline constexpr auto kChoices<LatentCache> = std::array{
    Choice{LatentCache::kDevice, "device", "all latents of a stage on the device"},
    Choice{LatentCache::kHost, "host", "all latents of a stage in host memory"},
    Choice{LatentCache::kStream, "stream", "read ahead from the shards, in bounded memory"},
};

enum class TextSource { kEncoder, kStored };
template <>
inline constexpr auto kChoices<TextSource> = std::array{
    Choice{TextSource::kEncoder, "encoder", "captions are encoded in every train step"},
    Choice{TextSource::kStored, "stored", "embeddings of the shards; neither text encoder nor tokenizer is loaded"},
};

struct SampleGridConfig {
  int64_t every = 0;
  std::string data;
  int64_t videos = 4;
  int64_t columns = 6;
  SamplerConfig sampler = {.steps = 20, .guidance = 3.0};

  template <class Fields>
  void fields(Fields& field) {
    field("every", every, "train steps between contact sheets; 0: none");
    field("data", data, "folder of held-out shards whose captions are drawn; empty: the stage's own");
    field("videos", videos, "videos drawn");
    field("columns", columns, "pictures per shot");
    field("sampler", sampler, "how they are drawn");
  }
};

enum class HeldOutWeights { kAverage, kCurrent };
template <>
inline constexpr auto kChoices<HeldOutWeights> = std::array{
    Choice{HeldOutWeights::kAverage, "average", "the moving average, which the finished model has"},
    Choice{HeldOutWeights::kCurrent, "current", "the weights that are being trained"},
};

// held_out.h
struct HeldOutConfig {
  int64_t every = 0;
  std::string data;
  int64_t videos = 16;
  int64_t times = 4;
  int64_t frames = 0;
  HeldOutWeights weights = HeldOutWeights::kAverage;
  int64_t seed = 1;

  void validate() const;
  // Whether the last videos of each stage's own data are kept from training.
  int64_t of_own_data() const { return every > 0 && data.empty() ? videos : 0; }
  template <class Fields>
  void fields(Fields& field) {
    field("every", every, "train steps between evaluations of the held-out loss; 0: none");
    field("data", data,
          "folder of held-out shards; empty: the last videos of the stage's data, which are not trained on");
    field("videos", videos, "held-out videos");
    field("times", times, "times at which each video is evaluated, at most 64");
    field("frames", frames, "latent frames of a held-out video, from its first; 0: as many as the stage trains on");
    field("weights", weights, "which weights are evaluated");
    field("seed", seed, "of the noise; the same in runs that are to be compared");
  }
};

struct TrainConfig {
  TrainConfig();
  int64_t seed = 1;
  std::string out = "runs/moga";
  std::string device = "auto";
  std::string dtype = "auto";
  LatentCache cache = LatentCache::kDevice;
  TextSource text = TextSource::kEncoder;
  std::string tokenizer;
  std::string vae;
  std::string init;
  std::string text_encoder_init;
  bool train_text_encoder = true;
  double caption_dropout = 0.1;
  std::string negative_prompt;
  Storage weights = Storage::kFloat32;
  double ema = 0.999;
  EmaPlace ema_place = EmaPlace::kDevice;
  double max_minutes = 0;
  int64_t log_every = 20;
  int64_t checkpoint_every = 1000;
  int64_t keep_checkpoints = 2;
  LoraConfig lora;
  RecomputeConfig recompute;
  Cloned<VideoModelConfig> transformer;  // of the family that init or transformer._class_name names, else the first
  TextEncoderConfig text_encoder;
  FlowConfig flow;
  OptimizerConfig optimizer;
  ParallelConfig parallel = {.data = 1, .sequence = 0};
  SampleGridConfig samples;
  HeldOutConfig held_out;
  std::vector<StageConfig> stage;

  void validate() const;
  int64_t total_steps() const;
  template <class Fields>
  void fields(Fields& field) {
    field("seed", seed, "seed of weights, data order, noise, timesteps and dropout");
    field("out", out, "folder of the run: checkpoints, log.jsonl, samples, the finished model");
    field("device", device, "auto, cpu, cuda, cuda:1");
    field("dtype", dtype, "of products and attention; auto: bfloat16 on CUDA, float32 on the CPU");
    field("cache", cache, "where the latents of a stage are kept");
    field("text", text, "where the text comes from");
    field("tokenizer", tokenizer, "sentencepiece model of the captions");
    field("vae", vae, "VAE folder: decodes the contact sheets, goes into the finished model");
    field("init", init, "model folder to start from instead of random weights");
    field("text_encoder_init", text_encoder_init, "text encoder folder to start from (moga train text); before init's");
    field("train_text_encoder", train_text_encoder, "train the text encoder too; else it stays as in init");
    field("caption_dropout", caption_dropout, "share of videos trained on the negative prompt alone, for guidance");
    field("negative_prompt", negative_prompt, "caption of the unconditional");
    field("weights", weights, "storage of the weights; with bfloat16 the optimiser keeps float32 masters");
    field("ema", ema, "decay of the weights' moving average; 0: none");
    field("ema_device", ema_place, "where the moving average is kept");
    field("max_minutes", max_minutes, "end cleanly after this time, as if the steps were done; 0: no limit");
    field("log_every", log_every, "train steps between log lines");
    field("checkpoint_every", checkpoint_every, "train steps between checkpoints");
    field("keep_checkpoints", keep_checkpoints, "newest checkpoints that are kept");
    field("lora", lora, "low-rank updates in place of all weights of the transformer");
    field("recompute", recompute, "recomputation of transformer blocks: less memory, the same gradients");
    field("transformer", transformer, "the video transformer");
    field("text_encoder", text_encoder, "the text encoder");
    field("flow", flow, "rectified flow");
    field("optimizer", optimizer, "AdamW");
    field("parallel", parallel, "ranks along data and sequence, where several train together");
    field("samples", samples, "contact sheets on the way");
    field("held_out", held_out, "loss on videos that are not trained on");
    field("stage", stage, "stages, in order");
  }
};

// Reads a config and puts "key=value" settings over it; "stage.0.steps=100" reaches into the list of stages.
TrainConfig load_train_config(const std::filesystem::path& path, const std::vector<std::string>& settings = {});

}  // namespace moga
