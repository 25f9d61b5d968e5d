// See stage_shape.h.
#include "moga/bench/stage_shape.h"

#include <algorithm>

#include "moga/data/dataset/shards.h"
#include "moga/train/video/train_data.h"

namespace moga {
namespace {

constexpr int64_t kSamplesLookedAt = 64;

double flop_of(const TrainConfig& config, const VideoShape& video) {
  return forward_cost(config.transformer->shape(), Layout{{video}}, config.transformer->attention()).with_backward();
}

// By tokens: as many of the largest video as a batch has room for, in pieces that hold at least what they may hold.
StageConfig by_count(StageConfig stage, const VideoShape& largest) {
  if (stage.tokens_per_batch == 0) return stage;
  const int64_t videos = std::max<int64_t>(1, stage.tokens_per_batch / largest.tokens());
  const int64_t most = stage.accumulation == 1 ? videos : (videos + stage.accumulation - 1) / stage.accumulation + 1;
  const int64_t piece = std::min(videos, most);
  stage.accumulation = (videos + piece - 1) / piece;
  stage.batch = stage.accumulation * piece;
  stage.tokens_per_batch = 0;
  return stage;
}

struct Looked {
  VideoShape largest;
  int64_t bytes = 0;  // of all latents
};

Looked look_at(const ShardDataset& data, const Strides& patch, int64_t frames) {
  Looked result;
  result.largest.frames = 0;
  int64_t bytes = 0, looked_at = 0;
  const int64_t stride = std::max<int64_t>(1, data.size() / kSamplesLookedAt);
  for (int64_t i = 0; i < data.size(); i += stride, ++looked_at) {
    const Sample sample = first_frames(data.get(i), frames);
    const VideoShape video{sample.latent.size(1) / patch.frames, sample.latent.size(2) / patch.rows,
                           sample.latent.size(3) / patch.columns, sample.shot_frames};
    for (const at::Tensor& latents : {sample.latent, sample.images.condition, sample.images.latents})
      if (latents.defined()) bytes += static_cast<int64_t>(latents.nbytes());
    if (video.tokens() > result.largest.tokens()) result.largest = video;
  }
  result.bytes = bytes / looked_at * data.size();
  return result;
}

// Before the first step, after every `every`-th and after the last one of the run.
int64_t evaluations_in(const TrainConfig& config, size_t index) {
  const int64_t every = config.held_out.every;
  int64_t begin = 0;
  for (size_t i = 0; i < index; ++i) begin += config.stage[i].steps;
  const int64_t end = begin + config.stage[index].steps;
  const bool first = index == 0, extra_last = index + 1 == config.stage.size() && end % every != 0;
  return end / every - begin / every + (first ? 1 : 0) + (extra_last ? 1 : 0);
}

HeldOutShape held_out_shape(const TrainConfig& config, size_t index) {
  const HeldOutConfig& held_out = config.held_out;
  const StageConfig& stage = config.stage[index];
  const ShardDataset data(held_out.data.empty() ? stage.data : held_out.data);
  const int64_t frames = held_out.frames > 0 ? held_out.frames : stage.frames;
  return {.video = look_at(data, config.transformer->patch(), frames).largest,
          .evaluations = evaluations_in(config, index),
          .passes = std::min(held_out.videos, data.size()) * held_out.times};
}

// The frames of a rank's slice, with the work of its part of the whole video.
void slice(VideoShape& video, double& work, const TrainConfig& config, int64_t ranks) {
  const VideoShape whole = video;
  video = {(whole.frames + ranks - 1) / ranks, whole.rows, whole.columns, {}};
  work = flop_of(config, whole) / static_cast<double>(ranks) / flop_of(config, video);
}

}  // namespace

StageShape stage_shape(const TrainConfig& config, size_t index) {
  const StageConfig& stage = config.stage[index];
  const Looked data = look_at(ShardDataset(stage.data), config.transformer->patch(), stage.frames);
  StageShape result = {.video = data.largest};
  if (config.cache == LatentCache::kDevice) result.data_bytes = data.bytes;
  if (config.held_out.every > 0) result.held_out = held_out_shape(config, index);
  return result;
}

std::vector<StageShape> stage_shapes(const TrainConfig& config) {
  std::vector<StageShape> stages;
  for (size_t i = 0; i < config.stage.size(); ++i) stages.push_back(stage_shape(config, i));
  return stages;
}

TrainConfig part_of_rank(TrainConfig config, std::vector<StageShape>& stages, const MeshSize& mesh) {
  config.transformer->check_sequence_ranks(mesh.sequence);
  for (size_t i = 0; i < stages.size(); ++i) {
    StageConfig& stage = config.stage[i];
    stage = by_count(stage, stages[i].video);
    const int64_t piece = stage.videos() / stage.accumulation,
                  videos = std::max<int64_t>(1, stage.videos() / mesh.data);
    stage.batch = videos;
    stage.accumulation = std::max<int64_t>(1, videos / std::min(piece, videos));
    std::optional<HeldOutShape>& held_out = stages[i].held_out;
    if (held_out) held_out->passes = (held_out->passes + mesh.data - 1) / mesh.data;
    if (mesh.sequence == 1) continue;
    slice(stages[i].video, stages[i].work, config, mesh.sequence);
    if (held_out) slice(held_out->video, held_out->work, config, mesh.sequence);
  }
  return config;
}

}  // namespace moga
