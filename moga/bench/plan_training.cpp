// See plan_training.h. Memory of the gradient grows with the tokens, that of the optimiser with the weights. They are
// rehearsed separately, since the larger one at a small size need not be the larger one at the run's size.
#include "moga/bench/plan_training.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "moga/bench/link_time.h"
#include "moga/bench/random_piece.h"
#include "moga/bench/random_train_models.h"
#include "moga/bench/scene.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/train/video/train_step.h"

namespace moga {
namespace {

constexpr int64_t kInputsOnDevice = 3;  // of blocks whose inputs go to the host (model/layers/input_offload.h)
constexpr int64_t kLargestVocabulary =
    1024;  // rows rehearsed; drawing all 256,384 rows of UMT5 would take longer than everything else

// Numbers of layers of the transformer and of the text encoder.
struct Layers {
  int64_t transformer, text_encoder;
};

// From (n, 1), (n + 1, 1) and (n, 2) layers to `layers`, n = `first`.
Rehearsed over_both_layers(Layers layers, int64_t first, const std::function<Rehearsed(Layers)>& rehearse) {
  first = std::min(first, layers.transformer);
  const Rehearsed one = rehearse({first, 1});
  const Rehearsed visual = layers.transformer > first ? rehearse({first + 1, 1}) : one;
  const Rehearsed text = layers.text_encoder > 1 ? rehearse({first, 2}) : one;
  const Rehearsed all_visual = extended(one, visual, layers.transformer - first);
  const Rehearsed all_text = extended(one, text, layers.text_encoder - 1);
  return {.weight_bytes = all_visual.weight_bytes + all_text.weight_bytes - one.weight_bytes,
          .work_bytes = all_visual.work_bytes + all_text.work_bytes - one.work_bytes,
          .seconds = all_visual.seconds + all_text.seconds - one.seconds};
}

// Block inputs in host memory: the last ones are still on the device, so fewer layers than these show no saving.
// Weights that are gathered: two blocks have a buffer whatever the number of blocks.
int64_t first_layers(const TrainConfig& config) {
  if (config.recompute.offload_inputs) return kInputsOnDevice;
  return config.parallel.shard == Shard::kFull ? 2 : 1;
}

Rehearsed rehearse_stage(TrainingRehearsal rehearsal, c10::Device device, c10::ScalarType dtype) {
  const Cloned<VideoModelConfig> model = rehearsal.config.transformer;
  const VideoShape video = rehearsal.video;
  const int64_t text_layers = rehearsal.config.text_encoder.num_layers;
  const auto flop = [&](FrameSize frame) {
    ModelShape one = model->shape();
    one.layers = 1;
    const Layout layout{std::vector<VideoShape>(rehearsal.videos * rehearsal.pieces, resized(video, frame))};
    return forward_cost(one, layout, model->attention()).with_backward();
  };
  const WindowConfig& windows = model->attention().windows;
  const FrameSize least{windows.rows, windows.columns}, frame{video.rows, video.columns};
  return over_frames(frame, rehearsal_limits(device, least), flop, [&](FrameSize size) {
    rehearsal.video = resized(video, size);
    return over_both_layers({model->shape().layers, text_layers}, first_layers(rehearsal.config), [&](Layers layers) {
      rehearsal.config.transformer->set_layers(layers.transformer);
      rehearsal.config.text_encoder.num_layers = layers.text_encoder;
      return rehearse_training(rehearsal, device, dtype);
    });
  });
}

// For one kind of attention in all layers: the gradient at full size, the optimiser at the smallest size.
Rehearsed rehearse_kind(TrainingRehearsal rehearsal, AttentionKind kind, c10::Device device, c10::ScalarType dtype) {
  VisualAttentionConfig& moga = rehearsal.config.transformer->attention();
  moga.kind = kind;
  moga.full_layers.clear();
  Rehearsed step = rehearse_stage(rehearsal, device, dtype);
  if (rehearsal.evaluate) return step;
  rehearsal.video = {1, moga.windows.rows, moga.windows.columns, {}};
  rehearsal.videos = rehearsal.pieces = 1;
  const Rehearsed gradient = rehearse_stage(rehearsal, device, dtype);
  rehearsal.optimize = true;
  const Rehearsed optimized = rehearse_stage(rehearsal, device, dtype);
  step.work_bytes = std::max(step.work_bytes, optimized.work_bytes);
  step.seconds += std::max(0.0, optimized.seconds - gradient.seconds);
  return step;
}

// Bytes of the text encoder's table rows that were not rehearsed: masters and, if they are trained, a gradient, two
// moments and an average.
void add_table(Rehearsed& step, const TrainConfig& config) {
  if (config.text == TextSource::kStored) return;
  const TextEncoderConfig& text = config.text_encoder;
  const int64_t rows = std::max<int64_t>(0, text.vocab_size - kLargestVocabulary);
  const int64_t bytes = rows * text.d_model * static_cast<int64_t>(sizeof(float));
  step.weight_bytes += (config.train_text_encoder ? 4 : 1) * bytes;
  step.work_bytes += config.train_text_encoder ? bytes : 0;
}

// With the vocabulary that is rehearsed, and full attention in the layers that have it.
Rehearsed rehearse_all_layers(TrainingRehearsal rehearsal, c10::Device device, c10::ScalarType dtype) {
  const VisualAttentionConfig moga = rehearsal.config.transformer->attention();
  const auto layers = static_cast<double>(rehearsal.config.transformer->shape().layers);
  int64_t& vocabulary = rehearsal.config.text_encoder.vocab_size;
  vocabulary = std::min(vocabulary, kLargestVocabulary);
  Rehearsed step = rehearse_kind(rehearsal, moga.kind, device, dtype);
  if (moga.kind == AttentionKind::kMoga && !moga.full_layers.empty()) {
    const Rehearsed full = rehearse_kind(rehearsal, AttentionKind::kFull, device, dtype);
    const double share = static_cast<double>(moga.full_layers.size()) / layers;
    step.work_bytes = std::max(step.work_bytes, full.work_bytes);
    step.seconds += share * (full.seconds - step.seconds);
  }
  return step;
}

Rehearsed rehearse_step(const TrainConfig& config, const StageConfig& stage, const StageShape& shape, int64_t ranks,
                        c10::Device device, c10::ScalarType dtype) {
  // Two pieces represent any larger number: from the second piece on, gradients are accumulated.
  const int64_t pieces = std::min<int64_t>(stage.accumulation, 2);
  Rehearsed step = rehearse_all_layers({.config = config,
                                        .video = shape.video,
                                        .videos = stage.videos() / stage.accumulation,
                                        .pieces = pieces,
                                        .ranks = ranks},
                                       device, dtype);
  add_table(step, config);
  step.seconds *= shape.work * static_cast<double>(stage.accumulation) / static_cast<double>(pieces);
  const LinkTime link = link_time(config, stage.accumulation, ranks, device);
  step.seconds = std::max(step.seconds, link.hidden) + link.exposed;
  return step;
}

// All evaluations of the held-out loss in a stage.
PlanPhase plan_held_out(const TrainConfig& config, const StageShape& shape, int64_t ranks, c10::Device device,
                        c10::ScalarType dtype) {
  const HeldOutShape& held_out = *shape.held_out;
  Rehearsed pass =
      rehearse_all_layers({.config = config, .video = held_out.video, .ranks = ranks, .evaluate = true}, device, dtype);
  add_table(pass, config);
  return {"held-out loss", pass.weight_bytes + pass.work_bytes + shape.data_bytes,
          pass.seconds * held_out.work * static_cast<double>(held_out.evaluations * held_out.passes)};
}

std::vector<std::string> advise(const TrainConfig& config, const Plan& plan) {
  const int64_t left = plan.usable_bytes() - plan.weight_bytes;
  if (left <= 0) return {"more memory than weights, moments and average alone need"};
  for (size_t i = 0; i < config.stage.size(); ++i) {
    const StageConfig& stage = config.stage[i];
    const double share = static_cast<double>(left) / static_cast<double>(plan.phases[i].peak_bytes - plan.weight_bytes);
    const auto videos = static_cast<int64_t>(share * static_cast<double>(stage.videos() / stage.accumulation));
    if (share >= 1) continue;
    if (videos < 1) return {"shorter or smaller videos in stage " + stage.name};
    int64_t pieces = stage.accumulation;
    while (stage.videos() % pieces != 0 || stage.videos() / pieces > videos) ++pieces;
    return {"accumulation = " + std::to_string(pieces) + " in stage " + stage.name};
  }
  return {};
}

// What "auto" tries, fastest first; otherwise what the config says. Some selective blocks are planned from none and
// all.
std::vector<RecomputeConfig> ways_of(const RecomputeConfig& config) {
  if (config.selective_blocks > 0) return {{Recompute::kFull, config.offload_inputs}};
  if (config.mode != Recompute::kAuto) return {config};
  std::vector<RecomputeConfig> ways;
  if (!config.offload_inputs) ways = {{Recompute::kNone, false}, {Recompute::kSelective, false}};
  ways.push_back({Recompute::kSelective, true});
  if (!config.offload_inputs) ways.push_back({Recompute::kFull, false});
  ways.push_back({Recompute::kFull, true});
  return ways;
}

std::vector<Shard> shards_of(const TrainConfig& config, int64_t ranks) {
  const Shard shard = config.parallel.shard;
  if (ranks == 1) return {Shard::kNone};
  if (shard != Shard::kAuto) return {shard};
  if (config.recompute.mode == Recompute::kNone) return {Shard::kNone, Shard::kOptimizer};
  return {Shard::kNone, Shard::kOptimizer, Shard::kFull};
}

// Whether a plan with whole state might fit when the state is sharded: weights, state and gradients, which are at most
// half as large, become a fraction 1/ranks.
bool sharding_may_help(const Plan& whole, int64_t ranks) {
  const double saved = 1.5 * static_cast<double>(whole.weight_bytes) * (1 - 1 / static_cast<double>(ranks));
  return static_cast<double>(whole.peak_bytes()) - saved <= static_cast<double>(whole.usable_bytes());
}

Plan plan_way(const TrainConfig& config, const std::vector<StageShape>& stages, c10::Device device,
              c10::ScalarType dtype, int64_t ranks) {
  release_cached_memory(device);
  Plan plan;
  plan.memory = device_memory(device);
  plan.recompute = config.recompute;
  if (ranks > 1) plan.shard = config.parallel.shard;
  for (size_t i = 0; i < stages.size(); ++i) {
    const StageConfig& stage = config.stage[i];
    log_info("rehearsing a train step of stage ", stage.name, ", recomputation of blocks: ", describe(config.recompute),
             ranks > 1 ? std::string(", shard: ") + name_of(config.parallel.shard) : "");
    const Rehearsed step = rehearse_step(config, stage, stages[i], ranks, device, dtype);
    plan.weight_bytes = step.weight_bytes;
    plan.phases.push_back({stage.name, step.weight_bytes + step.work_bytes + stages[i].data_bytes,
                           step.seconds * static_cast<double>(stage.steps)});
  }
  std::optional<PlanPhase> held_out;
  for (const StageShape& stage : stages) {
    if (!stage.held_out) continue;
    if (!held_out) log_info("rehearsing an evaluation of the held-out loss");
    const PlanPhase own = plan_held_out(config, stage, ranks, device, dtype);
    if (!held_out) held_out = PlanPhase{own.name};
    held_out->peak_bytes = std::max(held_out->peak_bytes, own.peak_bytes);
    held_out->seconds += own.seconds;
  }
  if (held_out) plan.phases.push_back(*held_out);
  return plan;
}

// Recomputation with results of attention kept in `blocks` of all: between none and all of them. A peak is the maximum
// of sums that grow evenly with the blocks, so it is at most this.
Plan between(const Plan& full, const Plan& selective, int64_t blocks, int64_t all) {
  const double share = static_cast<double>(blocks) / static_cast<double>(all);
  Plan plan = full;
  for (size_t i = 0; i < plan.phases.size(); ++i) {
    PlanPhase& phase = plan.phases[i];
    const PlanPhase& most = selective.phases[i];
    phase.peak_bytes += std::llround(share * static_cast<double>(most.peak_bytes - phase.peak_bytes));
    phase.seconds += share * (most.seconds - phase.seconds);
  }
  plan.recompute = {Recompute::kSelective, full.recompute->offload_inputs, blocks};
  return plan;
}

// The most blocks that can keep results of attention where not all of them can.
Plan most_selective(const Plan& full, const Plan& selective, int64_t all) {
  Plan best = full;
  for (int64_t blocks = 1; blocks < all; ++blocks) {
    const Plan plan = between(full, selective, blocks, all);
    if (!plan.fits()) break;
    best = plan;
  }
  return best;
}

// With the first way to shard that fits, otherwise with the last that may help.
Plan plan_shards(TrainConfig config, const std::vector<StageShape>& stages, c10::Device device, c10::ScalarType dtype,
                 int64_t ranks) {
  Plan plan;
  for (const Shard shard : shards_of(config, ranks)) {
    config.parallel.shard = shard;
    plan = plan_way(config, stages, device, dtype, ranks);
    if (plan.fits() || !sharding_may_help(plan, ranks)) break;
  }
  return plan;
}

void evaluate(TrainState& state, const TrainBatch& batch, c10::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  constexpr double kTime = 0.5;
  const VelocityModel model = [&](const VideoModelInput& x) { return state.models().transformer->forward(x, dtype); };
  const at::Tensor times = at::full({static_cast<int64_t>(batch.layout.videos.size())}, kTime,
                                    batch.latents.values.options().dtype(at::kFloat));
  flow_loss(model, {.latents = batch.latents,
                    .noise = at::randn_like(batch.latents.values),
                    .times = times,
                    .text = state.encode_text(batch),
                    .layout = batch.layout,
                    .text_lengths = batch.text_lengths,
                    .condition = batch.condition,
                    .image = batch.image});
}

}  // namespace

Rehearsed rehearse_training(const TrainingRehearsal& rehearsal, c10::Device device, c10::ScalarType dtype) {
  release_cached_memory(device);
  TrainConfig config = rehearsal.config;
  config.init.clear();
  config.text_encoder_init.clear();
  Scene scene(device);
  config.flow = kHalfway;
  TrainModels models = random_train_models(config, device);
  even_train_routers(config, models, rehearsal.video, dtype);
  TrainState state(config, std::move(models), device, dtype, Mesh::rehearsed(rehearsal.ranks));
  release_cached_memory(device);
  scene.begin();
  StepInput input{.step = 0, .lr = 0, .pieces = {}};  // 0: routers stay even
  for (int64_t i = 0; i < rehearsal.pieces; ++i)
    input.pieces.push_back(random_piece({config, rehearsal.video, rehearsal.videos}, device, dtype));
  double seconds = 0;
  for (int i = 0; i < 2; ++i) {  // the second time is warm
    const auto start = std::chrono::steady_clock::now();
    if (rehearsal.evaluate)
      evaluate(state, input.pieces.front(), dtype);
    else if (rehearsal.optimize)
      state.train_step(input);
    else
      state.accumulate_gradient(input);
    state.drop_gradient();
    synchronize(device);
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return scene.end(seconds);
}

Plan plan_training(const TrainConfig& whole, const std::vector<StageShape>& shapes, c10::Device device,
                   c10::ScalarType dtype, const MeshSize& mesh) {
  check(shapes.size() == whole.stage.size(), "shapes of ", shapes.size(), " stages for a run of ", whole.stage.size());
  std::vector<StageShape> stages = shapes;
  const TrainConfig config = part_of_rank(whole, stages, mesh);
  const StopInside stop_inside;
  const RandomState unchanged(device);
  const auto plan_with = [&](const RecomputeConfig& recompute, std::optional<Shard> shard) {
    TrainConfig chosen = config;
    chosen.recompute = recompute;
    if (shard) chosen.parallel.shard = *shard;
    return plan_shards(chosen, stages, device, dtype, mesh.ranks());
  };
  Plan plan;
  for (const RecomputeConfig& way : ways_of(config.recompute)) {
    plan = plan_with(way, std::nullopt);
    if (plan.fits()) break;
  }
  const int64_t blocks = config.recompute.selective_blocks;
  if (blocks > 0 || (config.recompute.mode == Recompute::kAuto && plan.recompute->mode == Recompute::kFull)) {
    const Plan selective = plan_with({Recompute::kSelective, plan.recompute->offload_inputs}, plan.shard);
    const int64_t all = config.transformer->shape().layers;
    plan = blocks > 0 ? between(plan, selective, blocks, all) : most_selective(plan, selective, all);
  }
  if (!plan.fits()) plan.advice = advise(config, plan);
  release_cached_memory(device);
  return plan;
}

}  // namespace moga
