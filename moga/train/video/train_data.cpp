// Packed batches from latent shards. See train_data.h.
#include "moga/train/video/train_data.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <mutex>

#include "moga/core/check.h"
#include "moga/core/log.h"
#include "moga/core/random.h"

namespace moga {
namespace {

constexpr size_t kOpenShards = 8;  // of a streamed data set
constexpr int kReadingThreads = 2;

int64_t bytes_of(const std::vector<at::Tensor>& tensors) {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors)
    if (tensor.defined()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

// The images of the first `shots` shots, with `frames` latent frames together.
void cut_images(SampleImages& images, int64_t frames, size_t shots, bool cut_short) {
  if (images.form == ImageForm::kNone) return;
  images.shown.first.resize(shots);
  images.shown.last.resize(shots);
  if (images.condition.defined()) images.condition = images.condition.narrow(1, 0, frames).contiguous();
  if (images.latents.defined()) images.latents = images.latents.narrow(1, 0, images.shown.count()).contiguous();
  if (!images.embeddings.empty()) images.embeddings.resize(shots);
  if (!cut_short || !images.shown.last.back()) return;
  images.shown.last.back() = false;
  if (images.embeddings.empty()) return;
  at::Tensor& both = images.embeddings.back();
  both = both.narrow(0, 0, both.size(0) / 2);
}

// Nothing would be left to denoise in a video all of whose frames are given: it is trained on without images.
void drop_if_all_given(SampleImages& images, int64_t frames) {
  if (images.form != ImageForm::kLatents || images.shown.count() < frames) return;
  images.shown.first.assign(images.shown.first.size(), false);
  images.latents = at::Tensor();
}

}  // namespace

Sample first_frames(Sample sample, int64_t frames) {
  if (frames == 0 || frames >= sample.latent.size(1)) return sample;
  sample.latent = sample.latent.narrow(1, 0, frames).contiguous();
  int64_t left = frames;
  size_t shots = 0;
  bool cut_short = false;  // the last shot
  for (; left > 0; ++shots) {
    cut_short = sample.shot_frames[shots] > left;
    left -= sample.shot_frames[shots] = std::min(sample.shot_frames[shots], left);
  }
  sample.shot_frames.resize(shots);
  sample.captions.resize(shots);
  if (!sample.text.empty()) sample.text.resize(shots);
  cut_images(sample.images, frames, shots, cut_short);
  return sample;
}

TrainData::TrainData(const TrainDataConfig& config, const Tokenizer* tokenizer)
    : config_(config), tokenizer_(tokenizer) {
  const bool stream = config.cache == LatentCache::kStream;
  shards_ = std::make_unique<ShardDataset>(config.folder, stream ? kOpenShards : 0);
  check(config.first < shards_->size(), config.folder.string(), " has ", shards_->size(), " videos, number ",
        config.first, " was asked for");
  check_images(shards_->images(), config.images, config.folder.string());
  size_ = shards_->size() - config.first;
  if (config.limit > 0) size_ = std::min(config.limit, size_);
  count_tokens();
  if (tokenizer_) {
    negative_ = tokenizer_->encode_batch({config.negative_prompt}, config.text_len);
    negative_length_ = negative_.lengths.item<int64_t>();
    negative_ = {negative_.ids.to(config.device), negative_.lengths.to(config.device)};
  } else {
    const NegativeText negative = shards_->negative();
    check(negative.text.defined(), config.folder.string(),
          ": holds no text embeddings; prepare it with a text encoder, or train with text = \"encoder\"");
    check(negative.prompt == config.negative_prompt, config.folder.string(), ": stores the negative prompt '",
          negative.prompt, "', the config says '", config.negative_prompt, "'");
    negative_text_ = negative.text;
    negative_length_ = std::min(negative_text_.size(0), config.text_len);
  }
  if (stream)
    log_info(config.folder.string(), ": ", size_, " videos, read while training");
  else
    keep_all();
}

TrainData::~TrainData() = default;
TrainData::TrainData(TrainData&&) noexcept = default;

void TrainData::count_tokens() {
  const Strides& patch = config_.patch;
  for (int64_t i = 0; i < size_; ++i) {
    const std::vector<int64_t>& latent = shards_->latent_shape(config_.first + i);
    const int64_t frames = config_.frames > 0 ? std::min(config_.frames, latent[1]) : latent[1];
    tokens_.push_back(frames / patch.frames * (latent[2] / patch.rows) * (latent[3] / patch.columns));
  }
}

void TrainData::keep_all() {
  int64_t captions = 0, full = 0, bytes = 0;
  for (int64_t i = 0; i < size_; ++i) {
    Video video = make_video(i);
    captions += video.shape.shots();
    bytes += static_cast<int64_t>(video.latent.nbytes()) + bytes_of(video.text) + bytes_of(video.images.embeddings);
    for (at::Tensor* image : {&video.images.condition, &video.images.latents}) {
      if (!image->defined()) continue;
      bytes += static_cast<int64_t>(image->nbytes());
      if (config_.cache == LatentCache::kDevice) *image = image->to(config_.device);
    }
    if (tokenizer_) {
      full += video.tokens.lengths.ge(config_.text_len).sum().item<int64_t>();
      video.tokens = {video.tokens.ids.to(config_.device), video.tokens.lengths.to(config_.device)};
    }
    if (config_.cache == LatentCache::kDevice) video.latent = video.latent.to(config_.device);
    videos_.push_back(std::make_shared<const Video>(std::move(video)));
  }
  shards_.reset();
  if (full > 0)
    log_info(config_.folder.string(), ": ", full, " captions fill all ", config_.text_len,
             " text tokens; the rest of each is cut");
  log_info(config_.folder.string(), ": ", size_, " videos, ", captions, " captions, ",
           format_bytes(static_cast<double>(bytes)), " on ",
           config_.cache == LatentCache::kDevice ? config_.device.str() : "the host");
}

TrainData::Video TrainData::make_video(int64_t index) const {
  const Sample sample = first_frames(shards_->get(config_.first + index), config_.frames);
  const at::Tensor& latent = sample.latent;
  const auto [frames, rows, columns] = config_.patch;
  check(latent.size(1) % frames == 0 && latent.size(2) % rows == 0 && latent.size(3) % columns == 0,
        config_.folder.string(), ": latent ", latent.sizes(), " does not divide into patches of ",
        at::IntArrayRef({frames, rows, columns}));
  Video video;
  video.index = index;
  video.latent_shape = latent.sizes().vec();
  video.shape = {.frames = latent.size(1) / frames,
                 .rows = latent.size(2) / rows,
                 .columns = latent.size(3) / columns,
                 .shot_frames = sample.shot_frames};
  video.shape.validate();
  video.latent = latent.reshape({-1}).contiguous();
  if (config_.images.form != ImageForm::kNone) video.images = sample.images;
  drop_if_all_given(video.images, latent.size(1));
  if (config_.images.embedding == 0) video.images.embeddings.clear();
  if (video.images.form == ImageForm::kLatents)
    video.given = given_latent_frames(sample.shot_frames, video.images.shown.first);
  if (tokenizer_) {
    video.tokens = tokenizer_->encode_batch(sample.captions, config_.text_len);
    const int64_t* lengths = video.tokens.lengths.const_data_ptr<int64_t>();
    video.text_lengths.assign(lengths, lengths + video.shape.shots());
    return video;
  }
  check(!sample.text.empty(), config_.folder.string(), ": video ", index, " has no text embeddings");
  video.text = sample.text;
  for (const at::Tensor& rows : sample.text) video.text_lengths.push_back(std::min(rows.size(0), config_.text_len));
  return video;
}

void TrainData::read_ahead(std::function<int64_t(int64_t)> index_at, int64_t first, int64_t ahead) {
  if (config_.cache != LatentCache::kStream) return;
  const auto mutex = std::make_shared<std::mutex>();
  const auto make = [this, index_at = std::move(index_at), mutex](int64_t position) {
    int64_t index = 0;
    {
      const std::lock_guard lock(*mutex);
      index = index_at(position);
    }
    return std::make_shared<const Video>(make_video(index));
  };
  ahead_ = std::make_unique<ReadAhead<std::shared_ptr<const Video>>>(make, first, ahead, kReadingThreads);
}

std::shared_ptr<const TrainData::Video> TrainData::video(int64_t index) const {
  if (!videos_.empty()) return videos_.at(static_cast<size_t>(index));
  if (!ahead_) return std::make_shared<const Video>(make_video(index));
  const auto next = ahead_->next();
  check(next->index == index, config_.folder.string(), ": video ", index, " was asked for, video ", next->index,
        " was read ahead");
  return next;
}

at::Tensor TrainData::to_device(const at::Tensor& host) const {
  if (host.device() == config_.device) return host;
  return host.pin_memory().to(config_.device, /*non_blocking=*/true);
}

void TrainData::add_captions(const Video& video, bool dropped, TokenBatch& tokens,
                             std::vector<at::Tensor>& text) const {
  const int64_t shots = video.shape.shots();
  if (!tokenizer_) {
    for (int64_t shot = 0; shot < shots; ++shot)
      text.push_back(dropped ? negative_text_ : video.text[static_cast<size_t>(shot)]);
    return;
  }
  const at::Tensor ids = dropped ? negative_.ids.expand({shots, config_.text_len}) : to_device(video.tokens.ids);
  const at::Tensor lengths = dropped ? negative_.lengths.expand({shots}) : to_device(video.tokens.lengths);
  tokens.ids = tokens.ids.defined() ? at::cat({tokens.ids, ids}) : ids;
  tokens.lengths = tokens.lengths.defined() ? at::cat({tokens.lengths, lengths}) : lengths;
}

void TrainData::add_images(const Video& video, TrainBatch& batch, std::vector<at::Tensor>& embeddings) const {
  const SampleImages& images = video.images;
  if (images.form == ImageForm::kLatents) {
    batch.given.push_back(
        {video.given, images.latents.defined() ? to_device(images.latents).to(at::kFloat) : at::Tensor()});
    return;
  }
  if (images.form != ImageForm::kCondition) return;
  const int64_t mask_channels = config_.images.channels - images.condition.size(0);
  check(mask_channels > 0, config_.folder.string(), ": images of ", images.condition.size(0),
        " latent channels, and the model takes ", config_.images.channels, " with their mask");
  const at::Tensor mask = image_mask(mask_channels, video.shape.shot_frames, images.shown.first, images.shown.last);
  batch.condition.push_back(masked_condition(to_device(mask), to_device(images.condition).to(at::kFloat)));
  if (config_.images.embedding == 0) return;
  for (const at::Tensor& rows : images.embeddings) {
    const int64_t expected = config_.images.pair_tokens;
    check(!rows.defined() || expected == 0 || rows.size(0) == expected, config_.folder.string(), ": a shot has ",
          rows.defined() ? rows.size(0) : 0, " embeddings of images, expected ", expected,
          ", those of a first and a last frame");
    batch.image.counts.push_back(rows.defined() ? rows.size(0) : 0);
    if (rows.defined()) embeddings.push_back(rows);
  }
}

// Embeddings [tokens, d] → [S, text_len, d], cut to text_len or followed by zeros.
at::Tensor TrainData::pad(const std::vector<at::Tensor>& text) const {
  at::Tensor padded =
      at::zeros({static_cast<int64_t>(text.size()), config_.text_len, text.front().size(1)}, text.front().options());
  for (size_t i = 0; i < text.size(); ++i) {
    const int64_t tokens = std::min(text[i].size(0), config_.text_len);
    padded[static_cast<int64_t>(i)].narrow(0, 0, tokens).copy_(text[i].narrow(0, 0, tokens));
  }
  return padded;
}

TrainBatch TrainData::batch(const std::vector<Pick>& picks) const {
  TrainBatch batch;
  TokenBatch tokens;
  std::vector<at::Tensor> latents, text, embeddings;
  for (const Pick& pick : picks) {
    const auto video = this->video(pick.index);
    latents.push_back(video->latent);
    batch.latents.shapes.push_back(video->latent_shape);
    batch.layout.videos.push_back(video->shape);
    add_captions(*video, pick.dropped, tokens, text);
    add_images(*video, batch, embeddings);
    for (const int64_t length : video->text_lengths)
      batch.text_lengths.push_back(pick.dropped ? negative_length_ : length);
  }
  batch.latents.values = to_device(at::cat(latents)).to(at::kFloat);
  batch.ids = tokens.ids;
  batch.lengths = tokens.lengths;
  if (!text.empty()) batch.text = to_device(pad(text)).to(config_.text_dtype);
  if (!embeddings.empty()) batch.image.rows = to_device(at::cat(embeddings)).to(at::kFloat);
  if (std::ranges::all_of(batch.given, [](const GivenLatents& given) { return given.frames.empty(); }))
    batch.given.clear();
  return batch;
}

std::vector<bool> draw_dropout(uint64_t seed, int64_t step, int64_t videos, double probability) {
  const at::Tensor u = at::rand({videos}, random_stream(seed, "caption dropout", step), at::TensorOptions(at::kFloat));
  std::vector<bool> dropped;
  for (int64_t i = 0; i < videos; ++i) dropped.push_back(u.const_data_ptr<float>()[i] < probability);
  return dropped;
}

}  // namespace moga
