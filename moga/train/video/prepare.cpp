// Stories → latent shards; captions → tokenizer. See prepare.h.
#include "moga/train/video/prepare.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/dataset/shards.h"
#include "moga/data/story/ahead.h"
#include "moga/data/video/video.h"
#include "moga/model/registry.h"
#include "moga/model/text/tokenizer.h"
#include "moga/train/loop/run.h"
#include "moga/train/video/shot_images.h"
#include "moga/train/video/text_embedder.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

// Adds the seconds of its life to a sum.
class Watch {
 public:
  explicit Watch(double& sum) : sum_(sum) {}
  ~Watch() { sum_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  double& sum_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Stories that are encoded together.
struct Batch {
  std::vector<Story> stories;
  std::vector<at::Tensor> frames;  // uint8 [T, 3, Y, X] on the device
};

// No stories when all are drawn or a signal has arrived.
Batch draw_batch(StoryAhead& ahead, const PrepareConfig& config, int64_t first) {
  Batch batch;
  for (int64_t i = first; i < std::min(first + config.batch, config.count) && !interrupted(); ++i) {
    DrawnStory drawn = ahead.get(i);
    batch.stories.push_back(std::move(drawn.story));
    batch.frames.push_back(drawn.frames);
  }
  return batch;
}

// Encodes one batch at a time. On a GPU whole clips are encoded while the caller does something else.
class Encoder {
 public:
  // `images` may be null.
  Encoder(CodecPtr codec, at::ScalarType dtype, bool whole_clip, ShotImageMaker* images)
      : codec_(std::move(codec)), dtype_(dtype), whole_clip_(whole_clip), images_(images) {}

  void start(Batch batch) {
    const Watch watch(seconds_);
    stories_ = std::move(batch.stories);
    if (stories_.empty()) return;
    std::vector<at::Tensor> videos;
    for (const at::Tensor& frames : batch.frames) videos.push_back(to_float(frames).to(dtype_));
    latents_ = encode(at::stack(videos));  // [B, 3, T, Y, X]
    if (images_) start_images(batch.frames);
  }
  const std::vector<Story>& stories() const { return stories_; }

  // Waits for the batch: samples with normalised latents [z, F, Y', X'], bfloat16 on the CPU.
  std::vector<Sample> finish() {
    const Watch watch(seconds_);
    const at::Tensor latents = latents_.cpu().to(at::kBFloat16);  // [B, z, F, Y', X']
    std::vector<Sample> samples;
    for (size_t i = 0; i < stories_.size(); ++i)
      samples.push_back({.latent = latents[static_cast<int64_t>(i)].clone(),
                         .shot_frames = stories_[i].latent_shot_frames(),
                         .captions = stories_[i].captions()});
    if (images_) finish_images(samples);
    return samples;
  }
  double seconds() const { return seconds_; }  // that start and finish took

 private:
  at::Tensor encode(const at::Tensor& video) {
    return whole_clip_ ? codec_->encode_clip(video) : codec_->encode(video);
  }

  void start_images(const std::vector<at::Tensor>& frames) {
    drawn_.clear();
    clip_latents_ = at::Tensor();
    std::vector<at::Tensor> clips;
    for (size_t i = 0; i < stories_.size(); ++i) {
      drawn_.push_back(
          images_->draw(*codec_, stories_[i].seed, frames[i], stories_[i].latent_shot_frames(), /*whole=*/true));
      if (drawn_.back().clip.defined()) clips.push_back(drawn_.back().clip.to(frames[i].device()));
      drawn_.back().clip = at::Tensor();  // frees host memory
    }
    if (!clips.empty()) clip_latents_ = encode(at::cat(clips));
  }
  void finish_images(std::vector<Sample>& samples) {
    const at::Tensor latents = clip_latents_.defined() ? clip_latents_.cpu().to(at::kBFloat16) : at::Tensor();
    int64_t next = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      const at::Tensor own = drawn_[i].shown.count() > 0 ? latents[next++].clone() : at::Tensor();
      samples[i].images = images_->stored(drawn_[i], own, samples[i].shot_frames);
    }
  }

  CodecPtr codec_;
  at::ScalarType dtype_;
  bool whole_clip_;
  ShotImageMaker* images_;
  std::vector<DrawnImages> drawn_;  // of the stories
  at::Tensor clip_latents_;         // of those with images
  std::vector<Story> stories_;
  at::Tensor latents_;
  double seconds_ = 0;
};

// To a tenth.
double rounded(double seconds) { return std::round(seconds * 10) / 10; }

}  // namespace

void PrepareConfig::validate() const {
  check(count > 0, "count is ", count, ", expected more than 0");
  check(first_seed >= 0, "first_seed is ", first_seed, ", expected at least 0");
  check(batch > 0, "batch is ", batch, ", expected more than 0");
  check(text_encoder.empty() || !tokenizer.empty(), "text_encoder needs tokenizer, its sentencepiece model");
  check(text_len > 0, "text_len is ", text_len, ", expected at least 1");
  check(samples_a_shard > 0, "samples_a_shard is ", samples_a_shard, ", expected more than 0");
}

int64_t prepare_stories(const PrepareConfig& config) {
  check(!config.vae.empty(), "vae is empty, expected a VAE folder");
  check(!config.out.empty(), "out is empty, expected a folder for the shards");
  check(!fs::exists(config.out) || fs::is_empty(config.out), config.out,
        " is not empty: choose another folder, or remove it");
  at::NoGradGuard no_grad;
  const at::Device device = parse_device(config.device);
  const at::ScalarType dtype = compute_dtype(config.dtype, device);
  const bool whole_clip = config.mode == EncodeMode::kClip || (config.mode == EncodeMode::kAuto && device.is_cuda());
  CodecPtr codec = load_codec(config.vae, device, dtype);
  check_story_codec(codec->config().strides());
  remove_abandoned(config.out);
  PendingFolder folder(config.out, Existing::kReplace);  // the folder is empty or new
  write_text(folder.temporary() / "prepare.toml", to_toml(config));
  ShardWriter writer(folder.temporary(), config.samples_a_shard);
  std::optional<TextEmbedder> text;
  if (!config.text_encoder.empty()) {
    text.emplace(TextEmbedderConfig{config.text_encoder, config.tokenizer, config.text_len, device, dtype});
    writer.set_negative({config.negative_prompt, text->embed({config.negative_prompt}).front()});
  }
  StoryAhead ahead([&](int64_t i) { return plan_story(config.first_seed + i, config.story); }, device,
                   /*with_parts=*/false);
  std::optional<ShotImageMaker> images;
  if (config.images.enabled()) images.emplace(config.images, device);
  Encoder encoder(std::move(codec), dtype, whole_clip, images ? &*images : nullptr);
  double seconds = 0;
  int64_t written = 0;
  {
    const Watch watch(seconds);
    Progress progress("prepare", config.count, "story");
    encoder.start(draw_batch(ahead, config, 0));
    while (!encoder.stories().empty()) {
      const auto count = static_cast<int64_t>(encoder.stories().size());
      Batch next = draw_batch(ahead, config, written + count);  // while the device encodes
      std::vector<Sample> samples = encoder.finish();
      encoder.start(std::move(next));
      for (Sample& sample : samples) {  // while it encodes the next
        if (text) sample.text = text->embed(sample.captions);
        writer.add(sample);
      }
      written += count;
      progress.advance(count);
    }
  }
  writer.finish();
  if (written < config.count) {
    if (written > 0)
      log_info("interrupted after ", written, " of ", config.count, " stories: they are in ", folder.keep().string());
    return written;
  }
  folder.commit();
  log_info("prepared ", written, " stories in ", format_duration(seconds), ": ", rounded(encoder.seconds()),
           " s waiting for encoding, ", rounded(ahead.seconds_waited()), " s for drawing");
  return written;
}

void prepare_tokenizer(const StoryConfig& story, int64_t first_seed, int64_t count, int64_t vocab_size,
                       const fs::path& model) {
  std::vector<std::string> captions;
  for (int64_t i = 0; i < count; ++i)
    for (std::string& caption : plan_story(first_seed + i, story).captions()) captions.push_back(std::move(caption));
  log_info("tokenizer from ", captions.size(), " captions of ", count, " stories");
  if (model.has_parent_path()) make_folder(model.parent_path());
  train_tokenizer(captions, vocab_size, model);
}

}  // namespace moga
