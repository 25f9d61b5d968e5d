// See link_time.h.
#include "moga/bench/link_time.h"

#include "moga/core/shapes_only.h"
#include "moga/model/adapter/low_rank.h"
#include "moga/train/video/shard_units.h"

namespace moga {
namespace {

// Out of each GPU: all-reduce over NVLink between two H200s measured 303e9 bytes/s, all-to-all 276e9. Processes of one
// machine without GPUs: Gloo over the loopback interface.
constexpr double kNvlinkRate = 276e9, kHostRate = 1e9;

struct Bytes {
  double gradients = 0;            // float32, of trained parameters
  double whole = 0, gathered = 0;  // stored weights: that every rank holds, and that are gathered
};

Bytes bytes_of(const TrainConfig& config, Shard shard) {
  const ShapesOnly shapes_only;
  TrainModels models;
  models.transformer = config.transformer->build(/*initialise=*/false);
  if (config.lora.enabled()) train_low_rank(*models.transformer, config.lora, at::kCPU);
  if (config.text == TextSource::kEncoder && config.train_text_encoder)
    models.text_encoder = TextEncoder(config.text_encoder, /*initialise=*/false);
  Bytes bytes;
  for (const ShardedState::Unit& unit : shard_units(config, models, shard, at::kCPU)) {
    const double elements = static_cast<double>(element_count(unit.parameters));
    const double stored = elements * static_cast<double>(c10::elementSize(unit.options.dtype));
    if (unit.options.trained) bytes.gradients += 4 * elements;
    (unit.options.holding == Holding::kSharded ? bytes.gathered : bytes.whole) += stored;
  }
  return bytes;
}

}  // namespace

LinkTime link_time(const TrainConfig& config, int64_t pieces, int64_t ranks, c10::Device device) {
  const Shard shard = config.parallel.shard;
  if (ranks == 1) return {};
  const Bytes bytes = bytes_of(config, shard);
  const double share = static_cast<double>(ranks - 1) / static_cast<double>(ranks);
  const double seconds_per_byte = share / (device.is_cuda() ? kNvlinkRate : kHostRate);
  if (shard == Shard::kNone || shard == Shard::kAuto)
    return {.hidden = 0, .exposed = 2 * bytes.gradients * seconds_per_byte};
  const double passes = static_cast<double>(pieces);
  return {.hidden = passes * (bytes.gradients + 2 * bytes.gathered) * seconds_per_byte,
          .exposed = bytes.whole * seconds_per_byte};
}

}  // namespace moga
