// One train step in numbered stages. See train_step.h.
#include "moga/train/video/train_step.h"

#include <ATen/ATen.h>

#include <exception>

#include "moga/core/random.h"
#include "moga/train/loop/tensor_digest.h"
#include "moga/train/video/shard_units.h"

namespace moga {
namespace {

void add_to(at::Tensor& sum, const at::Tensor& value) {
  if (!value.defined()) return;
  sum = sum.defined() ? sum + value : value;
}

std::unique_ptr<ShardedState> shard_state(const TrainConfig& config, const TrainModels& models,
                                          const ProcessGroup& ranks, at::Device device) {
  const Shard shard = shard_of(config, ranks);
  if (shard == Shard::kNone) return nullptr;
  const auto units = shard_units(config, models, shard, device);
  place_others(config, models, units, device);
  return std::make_unique<ShardedState>(units, ranks, device);
}

std::shared_ptr<ShardedBlocks> shard_blocks(const TrainConfig& config, const TrainModels& models,
                                            const ShardedState* state) {
  if (!state) return nullptr;
  const auto blocks = std::make_shared<ShardedBlocks>(blocks_of(*models.transformer), state->units());
  models.transformer->set_block_weights(blocks);
  // Weights that are gathered need recomputation; "auto" without a plan means the cheapest.
  if (!blocks->resident() && config.recompute.mode == Recompute::kAuto)
    models.transformer->set_recompute({Recompute::kSelective, config.recompute.offload_inputs});
  return blocks;
}

// Of the optimiser's tensors too, which are named after those of the parameters.
Placements with_moments(const Placements& placements) {
  Placements all = placements;
  for (const auto& [name, placement] : placements)
    for (const char* moment : {"moment1.", "moment2."}) all.emplace(moment + name, placement);
  return all;
}

// The weights in the storage that the config asks for, those of a frozen text encoder too. Returns the masters.
NamedTensors store_weights(const TrainConfig& config, const TrainModels& models, const NamedTensors& parameters) {
  if (config.weights == Storage::kFloat32) return parameters;
  const auto becomes_bfloat16 = [&](const std::string& name) { return stored_dtype(config, name) == at::kBFloat16; };
  if (models.text_encoder && !config.train_text_encoder) {
    NamedTensors frozen;
    for (const auto& item : models.text_encoder->named_parameters()) frozen.emplace_back(item.key(), item.value());
    store_in_bfloat16(frozen, becomes_bfloat16);
  }
  return store_in_bfloat16(parameters, becomes_bfloat16);
}

struct BatchSize {
  int64_t elements = 0, videos = 0, tokens = 0;
  int64_t counted = 0;  // elements of the loss: not those of given frames
};

BatchSize size_of(const std::vector<TrainBatch>& pieces) {
  BatchSize size;
  for (const TrainBatch& piece : pieces) {
    size.elements += piece.latents.values.numel();
    size.videos += static_cast<int64_t>(piece.layout.videos.size());
    size.tokens += piece.layout.tokens();
    size.counted += counted_elements(piece.latents, piece.given);
  }
  return size;
}

// The whole batch, and what of it comes before this data rank's pieces. Only hosts talk to each other, and only where
// there are several data ranks.
struct BatchSizes {
  BatchSize whole, before;
};

BatchSizes sizes_on(const ProcessGroup& data, const std::vector<TrainBatch>& pieces) {
  const BatchSize own = size_of(pieces);
  BatchSizes sizes;
  const at::Tensor all =
      data.all_gather(at::tensor({own.elements, own.videos, own.tokens, own.counted}, at::kLong).unsqueeze(0));
  const int64_t* row = all.const_data_ptr<int64_t>();
  for (int64_t rank = 0; rank < data.size(); ++rank, row += 4) {
    if (rank == data.rank()) sizes.before = sizes.whole;
    sizes.whole.elements += row[0];
    sizes.whole.videos += row[1];
    sizes.whole.tokens += row[2];
    sizes.whole.counted += row[3];
  }
  return sizes;
}

void sum_over(const ProcessGroup& ranks, at::Tensor& part) {
  if (ranks.size() == 1 || !part.defined()) return;
  part = part.clone(at::MemoryFormat::Contiguous);
  ranks.all_reduce(part);
}

// Losses and counts of this data rank's videos → of all. Ranks that share a video have its losses and counts, but the
// gates of their own slices.
void sum_over(const Mesh& mesh, StepResult& result) {
  for (at::Tensor* part : {&result.flow, &result.balance, &result.group_histogram}) sum_over(mesh.data(), *part);
  sum_over(mesh.world(), result.gate_sum);
}

}  // namespace

// Models whose state is sharded are made on the host, so that the device never has more than their shards.
TrainState::TrainState(const TrainConfig& config, at::Device device, at::ScalarType dtype, const Mesh& mesh)
    : TrainState(config,
                 make_models(config, shard_of(config, mesh.world()) == Shard::kNone ? device : at::Device(at::kCPU)),
                 device, dtype, mesh) {}

TrainState::TrainState(const TrainConfig& config, TrainModels models, at::Device device, at::ScalarType dtype,
                       const Mesh& mesh)
    : config_(config),
      device_(device),
      dtype_(dtype),
      mesh_(mesh),
      models_(std::move(models)),
      start_digest_(shard_of(config, mesh.world()) == Shard::kNone ? "" : digest_lines(models_.parameters())),
      sharded_(shard_state(config, models_, mesh.world(), device)),
      blocks_(shard_blocks(config, models_, sharded_.get())),
      parameters_(sharded_ ? sharded_->weights() : models_.parameters()),
      masters_(sharded_ ? sharded_->masters() : store_weights(config, models_, parameters_)),
      optimizer_(sharded_ ? AdamW(sharded_->tensors(), config.optimizer, config.seed)
                          : AdamW(parameters_, masters_, config.optimizer, config.seed)),
      ema_(parameters_, masters_, config.ema, config.ema_place),
      gradient_parts_(models_.parameters()) {
  optimizer_.report_norms(gradient_parts_.sets(),
                          [&](const std::string& name) { return gradient_parts_.sets_of(name); });
  if (sharded_) placements_ = with_moments(sharded_->placements());
}

int64_t TrainState::parameter_count() const {
  return sharded_ ? sharded_->parameter_count() : element_count(parameters_);
}

at::Tensor TrainState::encode_text(const TrainBatch& batch) {
  if (batch.text.defined()) return batch.text;
  const at::AutoGradMode gradient(at::GradMode::is_enabled() && config_.train_text_encoder);
  return models_.text_encoder->forward(batch.ids, batch.lengths, dtype_);
}

StepResult TrainState::accumulate_gradient(const StepInput& input) {
  const auto [whole, before] = sizes_on(mesh_.data(), input.pieces);
  const int64_t elements = whole.elements, videos = whole.videos;
  // 1. The step's random numbers, drawn for the whole batch so that they do not depend on how it is cut.
  const at::Tensor noise = at::randn({elements}, random_stream(config_.seed, "noise", input.step, device_),
                                     at::TensorOptions(at::kFloat).device(device_));
  const at::Tensor times =
      sample_times(config_.flow, videos, random_stream(config_.seed, "times", input.step, device_));

  // 2. Forward and backward, piece by piece; each counts by its share of elements (flow) and of videos (balance).
  const VelocityModel model = [&](VideoModelInput x) {
    x.sequence = mesh_.sequence();
    return models_.transformer->forward(x, dtype_);
  };
  StepResult result;
  result.videos = videos;
  result.tokens = whole.tokens;
  int64_t first_element = before.elements, first_video = before.videos;
  for (const TrainBatch& piece : input.pieces) {
    const int64_t piece_elements = piece.latents.values.numel();
    const int64_t piece_videos = static_cast<int64_t>(piece.layout.videos.size());
    const FlowLoss loss = flow_loss(model, {.latents = piece.latents,
                                            .noise = noise.narrow(0, first_element, piece_elements),
                                            .times = times.narrow(0, first_video, piece_videos),
                                            .text = encode_text(piece),
                                            .layout = piece.layout,
                                            .text_lengths = piece.text_lengths,
                                            .condition = piece.condition,
                                            .image = piece.image,
                                            .given = piece.given});
    const auto counted = static_cast<double>(counted_elements(piece.latents, piece.given));
    at::Tensor total = loss.flow * (counted / static_cast<double>(whole.counted));
    add_to(result.flow, total.detach());
    if (loss.balance.defined()) {
      const at::Tensor balance = loss.balance * (static_cast<double>(piece_videos) / videos);
      add_to(result.balance, balance.detach());
      total = total + balance;
    }
    add_to(result.group_histogram, loss.group_histogram);
    add_to(result.gate_sum, loss.gate_sum);
    total.backward();
    if (sharded_)
      sharded_->collect();
    else if (input.pieces.size() > 1)
      optimizer_.accumulate();
    first_element += piece_elements;
    first_video += piece_videos;
  }
  sum_over(mesh_, result);
  return result;
}

void TrainState::drop_gradient() {
  optimizer_.zero_grad();
  if (sharded_) sharded_->drop_gradients();
}

void TrainState::restored() {
  optimizer_.write_weights();
  refresh();
}

void TrainState::refresh() {
  if (!sharded_) return;
  sharded_->share();
  blocks_->invalidate();
}

void TrainState::gather_to_host(bool keep) {
  if (blocks_) blocks_->gather_to_host(keep);
}

void TrainState::back_to_buffers() {
  if (blocks_) blocks_->back_to_buffers();
}

StepResult TrainState::train_step(const StepInput& input) {
  StepResult result = accumulate_gradient(input);  // 1, 2

  // 3. Sum over the ranks, clip and step.
  if (sharded_)
    optimizer_.take(sharded_->gradients());
  else
    optimizer_.sum_over(mesh_.world());
  const AdamW::Step taken = optimizer_.step(input.lr, input.step);
  result.gradient_norm = taken.gradient_norm;
  result.gradient_norms = taken.norms;
  result.skipped = taken.skipped;
  drop_gradient();
  refresh();

  // 4. Average the weights.
  ema_.update(input.step);
  return result;
}

std::map<std::string, NamedTensors> TrainState::parts() const {
  std::map<std::string, NamedTensors> parts = {{"model", masters_}, {"optimizer", optimizer_.state()}};
  if (!ema_.weights().empty() || (sharded_ && config_.ema > 0)) parts["ema"] = ema_.weights();
  return parts;
}

AveragedWeights::AveragedWeights(TrainState& state) : state_(state), averaged_(state.averages()) {
  if (!averaged_) return;
  state.ema().enter();
  state.refresh();
}

// After an error on this rank the others do not come here: there is nothing to gather then.
// NOLINTNEXTLINE(bugprone-unsafe-to-allow-exceptions): a collective may fail
AveragedWeights::~AveragedWeights() noexcept(false) {
  if (!averaged_) return;
  state_.ema().leave();
  if (std::uncaught_exceptions() == 0) state_.refresh();
}

}  // namespace moga
