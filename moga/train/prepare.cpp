// Stories → latent shards; captions → tokenizer. See prepare.h.
#include "moga/train/prepare.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/shards.h"
#include "moga/data/story_ahead.h"
#include "moga/data/video.h"
#include "moga/model/tokenizer.h"
#include "moga/model/vae.h"
#include "moga/train/run.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

// video [B, 3, T, Y, X] → normalised latents [B, z, F, Y/8, X/8] bfloat16 on the CPU.
at::Tensor encode_videos(Vae& vae, const at::Tensor& video, bool whole_clip) {
  const at::Tensor latent = whole_clip ? vae->normalise(vae->encode_moments(video).first) : vae->encode(video);
  return latent.to(at::kBFloat16).cpu();
}

}  // namespace

void PrepareConfig::validate() const {
  check(count > 0, "count is ", count, ", expected more than 0");
  check(first_seed >= 0, "first_seed is ", first_seed, ", expected at least 0");
  check(batch > 0, "batch is ", batch, ", expected more than 0");
  check(samples_a_shard > 0, "samples_a_shard is ", samples_a_shard, ", expected more than 0");
  check(mode == "auto" || mode == "clip" || mode == "stream", "mode is '", mode, "', expected auto, clip or stream");
}

int64_t prepare_stories(const PrepareConfig& config) {
  check(!config.vae.empty(), "vae is empty, expected a VAE folder");
  check(!config.out.empty(), "out is empty, expected a folder for the shards");
  const fs::path out = config.out;
  check(!fs::exists(out) || fs::is_empty(out), config.out, " is not empty: choose another folder, or remove it");
  at::NoGradGuard no_grad;
  const at::Device device = parse_device(config.device);
  const at::ScalarType dtype = compute_dtype(config.dtype, device);
  const bool whole_clip = config.mode == "clip" || (config.mode == "auto" && device.is_cuda());
  Vae vae = load_vae(config.vae, device, dtype);
  write_text(out / "prepare.toml", to_toml(config));
  ShardWriter writer(out, config.samples_a_shard);
  Progress progress("prepare", config.count, "story");
  StoryAhead ahead([&](int64_t i) { return plan_story(config.first_seed + i, config.story); }, device,
                   /*with_parts=*/false);
  int64_t written = 0;
  while (written < config.count && !interrupted()) {
    std::vector<Story> stories;
    std::vector<at::Tensor> videos;
    for (int64_t i = written; i < std::min(written + config.batch, config.count) && !interrupted(); ++i) {
      DrawnStory drawn = ahead.get(i);
      stories.push_back(std::move(drawn.story));
      videos.push_back(to_float(drawn.frames).to(dtype));
    }
    if (stories.empty()) break;
    const at::Tensor latents = encode_videos(vae, at::stack(videos), whole_clip);
    for (size_t i = 0; i < stories.size(); ++i)
      writer.add({.latent = latents[i].clone(),
                  .shot_frames = stories[i].latent_shot_frames(),
                  .captions = stories[i].captions()});
    written += static_cast<int64_t>(stories.size());
    progress.advance(static_cast<int64_t>(stories.size()));
  }
  writer.finish();
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
