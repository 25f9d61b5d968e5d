// Packed batches from latent shards. See train_data.h.
#include "moga/train/video/train_data.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/data/dataset/shards.h"

namespace moga {
namespace {}  // namespace

Sample first_frames(Sample sample, int64_t frames) {
  if (frames == 0 || frames >= sample.latent.size(1)) return sample;
  sample.latent = sample.latent.narrow(1, 0, frames).contiguous();
  int64_t left = frames;
  size_t shots = 0;
  for (; left > 0; ++shots) left -= sample.shot_frames[shots] = std::min(sample.shot_frames[shots], left);
  sample.shot_frames.resize(shots);
  sample.captions.resize(shots);
  return sample;
}

TrainData::TrainData(const TrainDataConfig& config, const Tokenizer& tokenizer) : config_(config) {
  const ShardDataset shards(config.folder);
  const int64_t size = config.limit > 0 ? std::min(config.limit, shards.size()) : shards.size();
  check(size > 0, config.folder.string(), ": no videos");
  std::vector<std::string> captions;
  size_t most_shots = 1;
  int64_t bytes = 0;
  for (int64_t i = 0; i < size; ++i) {
    const Sample sample = first_frames(shards.get(i), config.frames);
    videos_.push_back(read_video(sample.latent, sample.shot_frames));
    videos_.back().first_caption = static_cast<int64_t>(captions.size());
    captions.insert(captions.end(), sample.captions.begin(), sample.captions.end());
    most_shots = std::max(most_shots, sample.captions.size());
    bytes += static_cast<int64_t>(videos_.back().latent.nbytes());
  }
  captions_ = tokenizer.encode_batch(captions, config.text_len);
  const int64_t full = captions_.lengths.ge(config.text_len).sum().item<int64_t>();
  if (full > 0)
    log_info(config.folder.string(), ": ", full, " captions fill all ", config.text_len,
             " text tokens; what is beyond is cut");
  negative_ = tokenizer.encode_batch(std::vector<std::string>(most_shots, config.negative_prompt), config.text_len);
  for (TokenBatch* tokens : {&captions_, &negative_}) {
    tokens->ids = tokens->ids.to(config.device);
    tokens->lengths = tokens->lengths.to(config.device);
  }
  log_info(config.folder.string(), ": ", size, " videos, ", captions.size(), " captions, ", format_bytes(bytes), " on ",
           config.on_device ? config.device.str() : "the host");
}

TrainData::Video TrainData::read_video(const at::Tensor& latent, const std::vector<int64_t>& shot_frames) const {
  const std::vector<int64_t>& patch = config_.patch_size;
  check(latent.dim() == 4, config_.folder.string(), ": a latent has shape ", latent.sizes(), ", expected [z, F, Y, X]");
  for (int64_t axis = 0; axis < 3; ++axis)
    check(latent.size(axis + 1) % patch[axis] == 0, config_.folder.string(), ": latent ", latent.sizes(),
          " does not divide into patches of ", at::IntArrayRef(patch));
  Video video;
  video.latent_shape = latent.sizes().vec();
  video.shape = {.frames = latent.size(1) / patch[0],
                 .rows = latent.size(2) / patch[1],
                 .columns = latent.size(3) / patch[2],
                 .shot_frames = shot_frames};
  video.shape.validate();
  video.latent = latent.reshape({-1}).contiguous();
  if (config_.on_device) video.latent = video.latent.to(config_.device);
  return video;
}

at::Tensor TrainData::gather_latents(const std::vector<at::Tensor>& parts) const {
  at::Tensor values = at::cat(parts);
  if (values.device() != config_.device) values = values.pin_memory().to(config_.device, /*non_blocking=*/true);
  return values.to(at::kFloat);
}

TrainBatch TrainData::batch(const std::vector<Pick>& picks) const {
  TrainBatch batch;
  std::vector<at::Tensor> latents, ids, lengths;
  for (const Pick& pick : picks) {
    const Video& video = videos_.at(pick.index);
    latents.push_back(video.latent);
    batch.latents.shapes.push_back(video.latent_shape);
    batch.layout.videos.push_back(video.shape);
    const TokenBatch& source = pick.dropped ? negative_ : captions_;
    const int64_t first = pick.dropped ? 0 : video.first_caption;
    ids.push_back(source.ids.narrow(0, first, video.shape.shots()));
    lengths.push_back(source.lengths.narrow(0, first, video.shape.shots()));
  }
  batch.latents.values = gather_latents(latents);
  batch.ids = at::cat(ids);
  batch.lengths = at::cat(lengths);
  return batch;
}

DataOrder::DataOrder(uint64_t seed, std::string purpose, int64_t size)
    : seed_(seed), purpose_(std::move(purpose)), size_(size) {}

int64_t DataOrder::at(int64_t position) {
  const int64_t epoch = position / size_;
  if (epoch != epoch_) {
    const at::Tensor order = at::randperm(size_, random_stream(seed_, purpose_, epoch), at::TensorOptions(at::kLong));
    permutation_.assign(order.const_data_ptr<int64_t>(), order.const_data_ptr<int64_t>() + size_);
    epoch_ = epoch;
  }
  return permutation_[position % size_];
}

std::vector<bool> draw_dropout(uint64_t seed, int64_t step, int64_t videos, double probability) {
  const at::Tensor u = at::rand({videos}, random_stream(seed, "caption dropout", step), at::TensorOptions(at::kFloat));
  std::vector<bool> dropped;
  for (int64_t i = 0; i < videos; ++i) dropped.push_back(u.const_data_ptr<float>()[i] < probability);
  return dropped;
}

}  // namespace moga
