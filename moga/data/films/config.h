// The settings of `moga prepare videos`, one struct per stage: probe → cut → score → crop → caption → merge → encode →
// report.
#pragma once

#include <string>
#include <vector>

#include "moga/core/choice.h"
#include "moga/data/cuts/cuts.h"
#include "moga/data/dataset/images.h"
#include "moga/data/films/caption_config.h"
#include "moga/data/films/crop_config.h"
#include "moga/data/films/score_config.h"
#include "moga/data/films/sources.h"
#include "moga/data/video/film.h"

namespace moga {

enum class FilmStage { kProbe, kCut, kScore, kCrop, kCaption, kMerge, kEncode, kReport };
template <>
inline constexpr auto kChoices<FilmStage> = std::array{
    Choice{FilmStage::kProbe, "probe", "what each file holds"},
    Choice{FilmStage::kCut, "cut", "its shots"},
    Choice{FilmStage::kScore, "score", "numbers of each shot's pictures, and the shots that are dropped for them"},
    Choice{FilmStage::kCrop, "crop", "pictures without black borders and marks"},
    Choice{FilmStage::kCaption, "caption", "captions from a model behind an endpoint"},
    Choice{FilmStage::kMerge, "merge", "samples of adjacent shots, re-timed and sized"},
    Choice{FilmStage::kEncode, "encode", "latents and text embeddings in shards"},
    Choice{FilmStage::kReport, "report", "report.html, a page with all samples"},
};

struct ProbeConfig {
  Hdr hdr = Hdr::kToneMap;
  double least_seconds = 0.5;
  int64_t least_side = 64;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("hdr", hdr, "what happens to films in HDR");
    field("least_seconds", least_seconds, "shorter films are dropped");
    field("least_side", least_side, "films with a smaller side are dropped");
  }
};

struct MergeConfig {
  double min_seconds = 2;
  double max_seconds = 10;
  double min_shot_seconds = 1;
  bool multi_shot = true;
  bool uncaptioned = false;
  int64_t area = 832 * 480;
  int64_t multiple = 0;
  std::vector<std::string> aspects = {"16:9", "4:3", "1:1", "3:4", "9:16"};
  double max_upscale = 1.0;
  double max_crop = 0.25;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("min_seconds", min_seconds, "least duration of a sample");
    field("max_seconds", max_seconds, "largest duration of a sample");
    field("min_shot_seconds", min_shot_seconds, "shorter shots are dropped, and end a sample");
    field("multi_shot", multi_shot, "samples of several adjacent shots; false: one shot each");
    field("uncaptioned", uncaptioned, "keep shots without a caption, with an empty one");
    field("area", area, "pixels of a frame, about; every aspect ratio has this area");
    field("multiple", multiple,
          "both sides are multiples of this; 0: the pixels of a token of the model next to encode.vae, or of Wan2.1's");
    field("aspects", aspects, "aspect ratios of the buckets, width:height");
    field("max_upscale", max_upscale, "smaller films than this factor reaches are dropped");
    field("max_crop", max_crop, "largest fraction of a picture that its bucket may cut off");
  }
};

struct FilmEncodeConfig {
  std::string vae, text_encoder, tokenizer, negative_prompt;
  int64_t text_len = 512;
  int64_t samples_a_shard = 64;
  int64_t held_out = 0;
  int64_t readers = 0;
  std::string device = "auto";
  std::string dtype = "auto";

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("vae", vae, "VAE folder");
    field("text_encoder", text_encoder, "text encoder folder: its embeddings are stored too; empty: captions only");
    field("tokenizer", tokenizer, "sentencepiece model of the text encoder");
    field("negative_prompt", negative_prompt, "caption of the unconditional, embedded too");
    field("text_len", text_len, "text tokens per caption that are embedded");
    field("samples_a_shard", samples_a_shard, "samples per file; a killed run repeats at most so many");
    field("held_out", held_out, "films whose samples go into held_out/ instead of shards/");
    field("readers", readers,
          "samples that are decoded at the same time, in memory; 0: up to 8, depending on the cores");
    field("device", device, "auto, cpu, cuda, cuda:1");
    field("dtype", dtype, "of the VAE; auto: bfloat16 on CUDA, float32 on the CPU");
  }
};

struct ReportConfig {
  bool enabled = true;
  int64_t thumbnail_width = 112;
  int64_t quality = 60;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("enabled", enabled, "false: no report.html");
    field("thumbnail_width", thumbnail_width, "pixels of a thumbnail; a shot takes about 3 kB at 112");
    field("quality", quality, "of its JPEG, 1 to 100");
  }
};

struct FilmsConfig {
  std::string input;
  SourceFormat format = SourceFormat::kAuto;
  std::string out;
  double fps = 16;
  ProbeConfig probe;
  CutConfig cut;
  ScoreConfig score;
  CropConfig crop;
  CaptionConfig caption;
  MergeConfig merge;
  FilmEncodeConfig encode;
  ImagesConfig images;
  ReportConfig report;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("input", input, "folder of films, or a list of them");
    field("format", format, "what input is");
    field("out", out, "folder of the manifests and shards");
    field("fps", fps, "frames per second of the model");
    field("probe", probe, "which files are read");
    field("cut", cut, "how shots are found");
    field("score", score, "which shots are dropped for their pictures");
    field("crop", crop, "what is cut off");
    field("caption", caption, "the model that captions shots");
    field("merge", merge, "how shots become samples");
    field("encode", encode, "models and shards");
    field("images", images, "images of shots, for image-to-video models");
    field("report", report, "the page");
  }
};

}  // namespace moga
