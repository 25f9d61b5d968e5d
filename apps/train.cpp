// moga train, moga train vae, moga train text: a TOML config, settings over it, and the checkpoint to resume from.
#include <ATen/ATen.h>

#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/ranks.h"
#include "moga/bench/plan_training.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/format.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/model/registry.h"
#include "moga/parallel/agree.h"
#include "moga/parallel/connect.h"
#include "moga/train/loop/run.h"
#include "moga/train/text/task.h"
#include "moga/train/vae/fit_preview.h"
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
  const std::vector<StageShape> stages = stage_shapes(config);
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

constexpr const char* kPreviewManual =
    R"(Fits a linear map from latents to colours to a VAE by least squares: what `moga generate --preview` draws
with. Writes preview.json, a few kB, into the folder of the VAE. Without films it is fitted to drawn stories,
which suits the demo model. For other VAEs give films: a short clip from the middle of each is encoded.

Example:
  moga train preview Wan2.1-T2V-1.3B-Diffusers/vae --film clips/street.mp4 --film clips/forest.mp4
  moga train preview models/demo/vae)";

struct PreviewCommand {
  std::string vae, device = "auto";
  std::vector<std::string> films;
  PreviewFitOptions fit;
};

void fit(PreviewCommand options) {
  options.fit.films.assign(options.films.begin(), options.films.end());
  for (const std::filesystem::path& film : options.fit.films) check_regular_file(film);
  check_writable(std::filesystem::path(options.vae) / kPreviewFile);
  const c10::Device device = parse_device(options.device);
  const CodecPtr codec = load_codec(options.vae, device, device.is_cuda() ? at::kBFloat16 : at::kFloat);
  const PreviewDecoder decoder = fit_preview(*codec, options.fit);
  save_preview_decoder(options.vae, decoder);
  std::cout << formatted("%.1f %% of the variance of colours explained, PSNR %.1f dB at the latents' resolution",
                         100 * decoder.explained, decoder.psnr)
            << "\npreview decoder in " << (std::filesystem::path(options.vae) / kPreviewFile).string() << std::endl;
}

void add_train_preview(CLI::App& train) {
  const auto options = std::make_shared<PreviewCommand>();
  CLI::App* command = train.add_subcommand("preview", "Fit the decoder of previews to a VAE");
  command->add_option("VAE", options->vae, "folder of a VAE")->required();
  command->add_option("--film", options->films, "film to fit to; may be repeated")->allow_extra_args(false);
  command->add_option("--clips", options->fit.clips, "stories to draw where there are no films")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--frames", options->fit.frames, "pixel frames of a clip, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 129));
  command->add_option("--width", options->fit.width, "pixels of a clip's width")
      ->capture_default_str()
      ->check(CLI::Range(64, 4096));
  command->add_option("--device", options->device, "auto, cpu, cuda, cuda:1")->capture_default_str();
  command->footer(kPreviewManual);
  command->callback([options] { fit(*options); });
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
  add_train_preview(*command);
  command->callback([command, options, no_plan, gpus] {
    if (!command->get_subcommands().empty()) return;
    if (options->config.empty()) throw CLI::RequiredError("CONFIG");
    if (!run_as_ranks(*gpus)) run_train(*options, *no_plan);
  });
}

}  // namespace moga
