// The settings of training a text encoder, as TOML.
#pragma once

#include <string>

#include "moga/data/story/story.h"
#include "moga/model/text/text_encoder.h"
#include "moga/train/loop/lr_schedule.h"
#include "moga/train/loop/optimizer.h"

namespace moga {

struct TextTrainConfig {
  int64_t seed = 1;
  std::string out = "runs/text";
  std::string device = "auto";
  std::string dtype = "auto";
  std::string data;
  std::string tokenizer;
  int64_t text_len = 64;
  int64_t steps = 2000;
  int64_t batch = 128;
  double lr = 1e-3;
  LrScheduleConfig schedule = {.kind = LrKind::kCosine, .warmup_steps = 100, .final_fraction = 0.02};
  OptimizerConfig optimizer;
  int64_t held_out = 512;
  double max_minutes = 0;
  int64_t log_every = 50;
  int64_t measure_every = 500;
  int64_t checkpoint_every = 500;
  int64_t keep_checkpoints = 2;
  TextEncoderConfig model;
  StoryConfig stories;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("seed", seed, "seed of weights and stories");
    field("out", out, "folder of the run: checkpoints, log.jsonl, config.toml, the finished model");
    field("device", device, "auto, cpu, cuda, cuda:1");
    field("dtype", dtype, "of products; auto: bfloat16 on CUDA, float32 on the CPU. Weights stay float32");
    field("data", data, "folder of moga prepare videos, whose captions are read; empty: captions of stories");
    field("tokenizer", tokenizer, "sentencepiece model of the captions");
    field("text_len", text_len, "text tokens a caption");
    field("steps", steps, "train steps");
    field("batch", batch, "captions a train step");
    field("lr", lr, "learning rate");
    field("schedule", schedule, "learning rate over the steps");
    field("optimizer", optimizer, "AdamW");
    field("held_out", held_out, "captions that are measured on: of other stories, or of held-out films");
    field("max_minutes", max_minutes, "end cleanly after this time, as if the steps were done; 0: no limit");
    field("log_every", log_every, "train steps between log lines");
    field("measure_every", measure_every, "train steps between measurements on held-out captions");
    field("checkpoint_every", checkpoint_every, "train steps between checkpoints");
    field("keep_checkpoints", keep_checkpoints, "newest checkpoints that are kept");
    field("model", model, "the text encoder");
    field("stories", stories, "the stories whose captions are read; not used with data");
  }
};

}  // namespace moga
