// moga plan: peak memory and time of a generation or a training run, before it starts.
#include <algorithm>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/plan_request.h"
#include "apps/script_options.h"
#include "moga/bench/plan_training.h"
#include "moga/bench/shapes.h"
#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/train/loop/run.h"
#include "moga/train/video/run_inputs.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Predicts peak memory and time of `moga generate SCRIPT` by rehearsing its parts on the device: the
same code with random weights, one or two layers of each model and a few steps, at the script's
size. On a CPU, or if that size does not fit, it rehearses smaller frames and extrapolates. Reading
weights from disk is not counted. Groups are assumed to be evenly filled, as after training or
calibration; with random routers they are not, and attention costs more.

With --train CONFIG it predicts `moga train CONFIG`, by rehearsing a train step of each stage and, where the
held-out loss is evaluated, a forward pass of that; with --gpus N it does so for one of N ranks, with the time that sums and gathers over the link take at least.

--model is a model folder, of which only the configs are read, or the name of a published one:
1.3B, 14B, I2V-14B (Wan2.1), A14B, I2V-A14B, TI2V-5B (Wan2.2), MMDiT-2B. A run that does not fit is reported with its
numbers and with changes that would make it fit; the exit status is then 1.

Example:
  moga plan examples/mara_by_the_lake.toml --model models/demo
  moga plan --train configs/stories.toml --set stage.0.batch=32
  moga plan --train configs/stories.toml --gpus 8 --set parallel.shard=full
  moga plan film.toml --model 14B --set transformer.moga.groups=20 --json plan.json)";

struct Options {
  ScriptOptions script;
  ModelOptions model;
  StreamOptions streaming;
  std::string train, json;
  int64_t gpus = 1;
};

ModelConfigs configs_of(const std::string& model) {
  if (std::filesystem::is_directory(model)) return load_model_configs(model);
  NamedModel named = named_model(model);
  ModelConfigs configs{std::move(named.model), TextEncoderConfig(), std::move(named.codec), SamplerConfig()};
  configs.boundary_ratio = named.boundary_ratio;
  if (named.boundary_ratio > 0) configs.transformer_2 = configs.transformer;
  configs.image_encoder = named.image_encoder;
  configs.expand_timesteps = named.expand_timesteps;
  return configs;
}

void write(const Plan& plan, const Options& options) {
  std::cout << to_table(plan) << std::flush;
  if (!options.json.empty()) write_text(options.json, to_json_text(plan));
  check_fits(plan);
}

// Of a run on so many ranks, as Mesh::training arranges them.
MeshSize mesh_size(const ParallelConfig& config, int64_t ranks) {
  const int64_t sequence = config.sequence > 0 ? config.sequence : std::max<int64_t>(1, ranks / config.data);
  const MeshSize size = {config.data > 0 ? config.data : std::max<int64_t>(1, ranks / sequence), sequence};
  check(size.ranks() == ranks, "a mesh data x sequence = ", size.data, " x ", size.sequence, " does not fill the ",
        ranks, " rank(s) of --gpus");
  return size;
}

void plan_train(const Options& options) {
  const TrainConfig config = load_train_config(options.train, options.model.settings);
  check_init_exists(config);  // its shape is planned
  const at::Device device = parse_device(options.model.device == "auto" ? config.device : options.model.device);
  const at::ScalarType dtype = compute_dtype(options.model.dtype.empty() ? config.dtype : options.model.dtype, device);
  const std::vector<StageShape> stages = stage_shapes(config);
  const MeshSize mesh = mesh_size(config.parallel, options.gpus);
  const Plan plan = plan_training(config, stages, device, dtype, mesh);
  std::cout << device_name(device) << ", " << dtype_name(dtype) << ": " << config.total_steps() << " train steps";
  if (mesh.ranks() > 1) std::cout << " on " << mesh.data << " x " << mesh.sequence << " ranks (data x sequence)";
  std::cout << "\n";
  write(plan, options);
}

void plan_generate(const Options& options) {
  check(!options.model.folder.empty(), "--model is required with SCRIPT");
  const ModelConfigs configs = configs_of(options.model.folder);
  const Script script = options.script.load(options.model.folder, configs.pixels_per_token());
  if (const std::string note = script.frame_note(configs.pixels_per_token()); !note.empty()) log_info(note);
  const at::Device device = options.model.place();
  const at::ScalarType dtype = options.model.compute_dtype();
  const GenerationPlanRequest request =
      of_rank(plan_request(configs, options.model, options.streaming, script, options.script.file), options.gpus);
  const Plan plan = plan_generation(request, device, dtype);
  const VideoShape& video = request.video;
  std::cout << device_name(device) << ", " << dtype_name(dtype) << ": " << video.frames << " latent frames of "
            << video.rows << "x" << video.columns << " tokens = " << video.tokens() << ", " << video.shots()
            << " shots; " << request.sampler.steps << " steps" << (request.sampler.guided() ? " with guidance" : "");
  if (options.gpus > 1)
    std::cout << "; the first of " << options.gpus << " ranks, guidance " << request.guidance_ranks << " x sequence "
              << request.sequence_ranks;
  std::cout << "\n";
  write(plan, options);
}

void run(const Options& options) {
  set_quiet(options.model.quiet);
  check(options.script.file.empty() != options.train.empty(), "give a SCRIPT or --train CONFIG");
  options.train.empty() ? plan_generate(options) : plan_train(options);
}

}  // namespace

void add_plan(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plan", "Predict peak memory and time of a generation or training run");
  command->footer(kManual);
  options->script.add(*command);
  command->add_option("--train", options->train, "training config (TOML), instead of a script");
  command->add_option("--json", options->json, "file to write as JSON");
  command
      ->add_option("--gpus", options->gpus, "GPUs that train or generate together: peak and time of the first of them")
      ->check(CLI::Range(int64_t{1}, int64_t{1024}));
  options->model.add(*command);
  options->model.add_adapter(*command);
  options->streaming.add(*command);
  command->get_option("--model")->required(false)->description(
      "model folder, a published model's name (1.3B, 14B, I2V-14B, A14B, I2V-A14B, TI2V-5B, MMDiT-2B), or a "
      "transformer's "
      "config.json");
  command->callback([options] { run(*options); });
}

}  // namespace moga
