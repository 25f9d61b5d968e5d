// moga train, moga train vae, moga train text: a TOML config, settings over it, and the checkpoint to resume from.
#include <ATen/ATen.h>

#include <memory>

#include "apps/commands.h"
#include "apps/ranks.h"
#include "moga/bench/plan_training.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/parallel/agree.h"
#include "moga/parallel/connect.h"
#include "moga/train/loop/run.h"
#include "moga/train/text/task.h"
#include "moga/train/vae/task.h"
#include "moga/train/video/run_inputs.h"
#include "moga/train/video/task.h"

namespace moga {
namespace {

struct Options {
  std::string config;
  std::string resume;
  std::vector<std::string> settings;

  void add(CLI::App& command) {
    command.add_option("--resume", resume,
                       "resume: 'auto' from the newest checkpoint of the run, or a checkpoint folder");
    command.add_option("--set", settings, "override a key of the config; stage.0.steps=100 reaches into a list")
        ->allow_extra_args(false);
  }
};

void end_as(TrainEnd end) {
  if (end == TrainEnd::interrupted) throw Interrupted();
}

// On a GPU a run that does not fit is refused before it starts. The rehearsals take seconds. Sets the recomputation and
// the sharding that "auto" stands for. Returns what was planned, for the message when memory runs out all the same.
std::string plan_on_one(TrainConfig& config, const Mesh& mesh) {
  const c10::Device device = parse_device(config.device);
  std::vector<StageShape> stages;
  for (const StageConfig& stage : config.stage) stages.push_back(stage_shape(config, stage));
  const MeshSize size = {mesh.data().size(), mesh.sequence().size()};
  const Plan plan = plan_training(config, stages, device, compute_dtype(config.dtype, device), size);
  check_fits(plan);
  config.recompute = *plan.recompute;
  if (plan.shard) config.parallel.shard = *plan.shard;
  const std::string peak = format_bytes(static_cast<double>(plan.peak_bytes()));
  log_info("planned: peak memory ", peak, ", ", format_duration(plan.seconds()),
           ", recomputation of blocks: ", describe(config.recompute),
           plan.shard ? std::string(", shard: ") + name_of(*plan.shard) : "");
  return "planned " + peak;
}

// Planned by the first rank for all of them: ranks must recompute alike, because attention exchanges rows again then.
std::string plan(TrainConfig& config, const Mesh& mesh) {
  if (!parse_device(config.device).is_cuda()) return "";
  const std::string planned = mesh.world().rank() == 0 ? plan_on_one(config, mesh) : "";
  const at::Tensor chosen =
      at::tensor({static_cast<int64_t>(config.recompute.mode), static_cast<int64_t>(config.recompute.offload_inputs),
                  config.recompute.selective_blocks, static_cast<int64_t>(config.parallel.shard)},
                 at::kLong);
  mesh.world().broadcast(chosen, 0);
  config.recompute.mode = static_cast<Recompute>(chosen[0].item<int64_t>());
  config.recompute.offload_inputs = chosen[1].item<int64_t>() != 0;
  config.recompute.selective_blocks = chosen[2].item<int64_t>();
  config.parallel.shard = static_cast<Shard>(chosen[3].item<int64_t>());
  return planned;
}

void run_train(const Options& options, bool no_plan) {
  TrainConfig config = load_train_config(options.config, options.settings);
  check_init_exists(config);  // its shape is planned
  const Ranks ranks = join_ranks(config.parallel, config.device);
  const ProcessGroup& world = ranks.mesh.world();
  agree(world, {{"version", MOGA_VERSION}, {"config", to_toml(config)}});
  if (world.size() > 1) config.device = ranks.device.str();
  const std::string planned = no_plan ? "" : plan(config, ranks.mesh);
  const TrainEnd end = train(config, options.resume, planned, ranks.mesh);
  leave(world);
  end_as(end);
}

void add_train_vae(CLI::App& train) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = train.add_subcommand("vae", "Train the VAE on rendered stories");
  command->add_option("CONFIG", options->config, "training config (TOML)")->required();
  options->add(*command);
  command->footer("Example:\n  moga train vae configs/demo_vae.toml --set out=runs/vae");
  command->callback([options] {
    VaeTrainConfig config = load_toml<VaeTrainConfig>(options->config);
    apply_overrides(config, options->settings);
    end_as(train_vae(config, options->resume));
  });
}

void add_train_text(CLI::App& train) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = train.add_subcommand("text", "Train the text encoder on captions of stories");
  command->add_option("CONFIG", options->config, "training config (TOML)")->required();
  options->add(*command);
  command->footer("Example:\n  moga train text configs/demo_text.toml --set out=runs/text");
  command->callback([options] {
    TextTrainConfig config = load_toml<TextTrainConfig>(options->config);
    apply_overrides(config, options->settings);
    end_as(train_text(config, options->resume).end);
  });
}

}  // namespace

void add_train(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  const auto no_plan = std::make_shared<bool>(false);
  const auto gpus = std::make_shared<int64_t>(1);
  CLI::App* command = app.add_subcommand("train", "Train a video transformer on latent shards");
  command->add_option("CONFIG", options->config, "training config (TOML)");
  options->add(*command);
  command->add_flag("--no-plan", *no_plan, "start without checking by rehearsal whether the run fits (GPU only)");
  add_gpus_option(*command, *gpus);
  command->footer(R"(A run writes log.jsonl, config.toml, checkpoints (step-…), samples/ and, at its end, model/
into the folder "out". Ctrl-C or SIGTERM ends it cleanly: it finishes the train step, saves,
and says how to resume.

Several GPUs share each video (a slice of its tokens each) unless [parallel] says otherwise: data is
the number of ranks that train on different videos, sequence that of ranks that share one. The losses
are those of one GPU. [parallel] shard divides the state of training over the GPUs: optimizer (masters,
moments, moving average, gradients) or full (the weights of blocks too); auto takes what fits.

Example:
  moga train configs/stories.toml
  moga train configs/stories.toml --gpus 2
  moga train configs/stories.toml --set out=runs/full --set transformer.moga.kind=full
  moga train configs/stories.toml --resume auto)");
  add_train_vae(*command);
  add_train_text(*command);
  command->callback([command, options, no_plan, gpus] {
    if (!command->get_subcommands().empty()) return;
    if (options->config.empty()) throw CLI::RequiredError("CONFIG");
    if (!run_as_ranks(*gpus)) run_train(*options, *no_plan);
  });
}

}  // namespace moga
