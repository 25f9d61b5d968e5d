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

}  // namespace

StageShape stage_shape(const TrainConfig& config, const StageConfig& stage) {
  const ShardDataset data(stage.data);
  const Strides patch = config.transformer->patch();
  StageShape result;
  result.video.frames = 0;
  int64_t bytes = 0, looked_at = 0;
  const int64_t stride = std::max<int64_t>(1, data.size() / kSamplesLookedAt);
  for (int64_t i = 0; i < data.size(); i += stride, ++looked_at) {
    const Sample sample = first_frames(data.get(i), stage.frames);
    const VideoShape video{sample.latent.size(1) / patch.frames, sample.latent.size(2) / patch.rows,
                           sample.latent.size(3) / patch.columns, sample.shot_frames};
    bytes += static_cast<int64_t>(sample.latent.nbytes());
    if (video.tokens() > result.video.tokens()) result.video = video;
  }
  if (config.cache == LatentCache::kDevice) result.data_bytes = bytes / looked_at * data.size();
  return result;
}

TrainConfig part_of_rank(TrainConfig config, std::vector<StageShape>& stages, const MeshSize& mesh) {
  config.transformer->check_sequence_ranks(mesh.sequence);
  for (size_t i = 0; i < stages.size(); ++i) {
    StageConfig& stage = config.stage[i];
    stage = by_count(stage, stages[i].video);
    const int64_t piece = stage.batch / stage.accumulation;
    stage.batch = std::max<int64_t>(1, stage.batch / mesh.data);
    stage.accumulation = std::max<int64_t>(1, stage.batch / std::min(piece, stage.batch));
    if (mesh.sequence == 1) continue;
    const VideoShape video = stages[i].video;
    stages[i].video = {(video.frames + mesh.sequence - 1) / mesh.sequence, video.rows, video.columns, {}};
    stages[i].work = flop_of(config, video) / static_cast<double>(mesh.sequence) / flop_of(config, stages[i].video);
  }
  return config;
}

}  // namespace moga
