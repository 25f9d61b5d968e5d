// The settings of training a VAE, as TOML.
#pragma once

#include <string>

#include "moga/data/story/story.h"
#include "moga/model/vae/vae.h"
#include "moga/train/loop/lr_schedule.h"
#include "moga/train/loop/optimizer.h"
#include "moga/train/vae/loss.h"

namespace moga {

struct VaeTrainConfig {
  int64_t seed = 1;
  std::string out = "runs/vae";
  std::string device = "auto";
  std::string dtype = "auto";
  std::string data;
  std::string init;
  bool train_encoder = true;
  int64_t steps = 2500;
  double max_minutes = 0;
  int64_t batch = 16;
  int64_t frames = 17;
  int64_t crop = 112;
  int64_t pool = 192;
  int64_t renew_every = 4;
  double lr = 1e-3;
  LrScheduleConfig schedule = {.kind = LrKind::kCosine, .warmup_steps = 50, .final_fraction = 0.02};
  OptimizerConfig optimizer;
  double ema = 0.998;
  VaeLossConfig loss;
  int64_t statistics_clips = 256;
  int64_t log_every = 20;
  int64_t sample_every = 500;
  int64_t checkpoint_every = 500;
  int64_t keep_checkpoints = 2;
  VaeConfig model;
  StoryConfig stories;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("seed", seed, "seed of weights, stories, clips and posterior noise");
    field("out", out, "folder of the run: checkpoints, log.jsonl, samples, the finished model");
    field("device", device, "auto, cpu, cuda, cuda:1");
    field("dtype", dtype, "of the convolutions; auto: bfloat16 on CUDA, float32 on the CPU. Weights stay float32");
    field("data", data, "folder of moga prepare videos, whose films are trained on; empty: the stories");
    field("init", init, "VAE folder to start from instead of random weights; its model must be the one below");
    field("train_encoder", train_encoder,
          "train the encoder too; else it and the latents' statistics stay exactly as in init");
    field("steps", steps, "train steps");
    field("max_minutes", max_minutes, "end cleanly after this time, as if the steps were done; 0: no limit");
    field("batch", batch, "clips a train step");
    field("frames", frames, "pixel frames a clip, 1 + 4k");
    field("crop", crop, "rows and columns of a clip, a multiple of 16; 0: whole pictures");
    field("pool", pool, "stories or film clips held on the device, from which clips are cut");
    field("renew_every", renew_every, "train steps between new ones in the pool; 0: never");
    field("lr", lr, "learning rate");
    field("schedule", schedule, "learning rate over the steps");
    field("optimizer", optimizer, "AdamW");
    field("ema", ema, "decay of the weights' moving average, which is what is saved");
    field("loss", loss, "weights of the losses");
    field("statistics_clips", statistics_clips, "clips that latents_mean and latents_std are computed over");
    field("log_every", log_every, "train steps between log lines");
    field("sample_every", sample_every, "train steps between held-out comparisons (PNG, PSNR); 0: none");
    field("checkpoint_every", checkpoint_every, "train steps between checkpoints");
    field("keep_checkpoints", keep_checkpoints, "newest checkpoints that are kept");
    field("model", model, "the autoencoder");
    field("stories", stories, "the stories; not used with data");
  }
};

}  // namespace moga
