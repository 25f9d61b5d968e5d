// moga generate: turns a shot script into a video.
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <sstream>

#include "apps/commands.h"
#include "apps/plan_request.h"
#include "apps/ranks.h"
#include "apps/script_options.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/data/video/video.h"
#include "moga/model/registry.h"
#include "moga/parallel/connect.h"
#include "moga/pipeline/film_tags.h"
#include "moga/pipeline/generate.h"
#include "moga/pipeline/latents.h"
#include "moga/pipeline/script_request.h"

namespace moga {
namespace {

constexpr const char* kManual = R"(A script is a TOML file:

  title = "Mara by the lake"
  size = [224, 128]         # width and height in pixels, for Wan2.1 multiples of 16, for TI2V-5B of 32
  fps = 16
  seed = 7
  negative_prompt = "blurred, text"        # optional, what guidance steers away from;
                                           # or: negative = "wan", the prompt of Wan's own programs
  global_caption = "A film in soft light." # optional, precedes each caption
  set = ["transformer.moga.combine=lse"]   # optional, as --set, which overrides it
  [[shot]]
  caption = "A wide shot of a lake by day. Mara, with a red cap, ..."
  duration = 2.0            # seconds, or: frames = 32
  image = "lake.png"        # optional, the shot's first frame: PNG or JPEG, next to the script
  last_image = "hill.jpg"   # optional, its last frame
  [[shot]]
  ...

Without size the video has the model's own size. A video has 1 + 4k frames and a cut falls on
one of these steps: where the script asks for others, one line says what it gets.

Images are for image-to-video models, which need at least one, and for Wan2.2-TI2V-5B, which also runs
without; any shot may have its own. They are resized to the video's size, and one line says so where the
proportions differ. last_image is for models of first and last frames (FLF2V) and Wan2.2-I2V-A14B.

A shot's caption reaches only that shot. Captions beyond the model's text length are cut with a
line that says where, the global caption first.
The contact sheet (one row per shot) is written next to the video as .png. Both carry the script
with all that the command line set: `moga info --reproduce VIDEO` writes it.

--preview N shows the film while it is computed: every N steps VIDEO.preview.png (the contact sheet) and
VIDEO.preview.mp4 (one picture per latent frame) are replaced. They are blurred: a linear decoder draws
them, which the folder of the VAE must have as preview.json (`moga train preview`). They stay afterwards.

--noise-from diffusers starts from the noise that diffusers draws from the same seed with a CPU generator.
--noise and --save-latents make a run comparable with any program's: each is a safetensors file with the tensor
"latents" [z, latent frames, rows, columns], normalised as the transformer sees it.

A run that takes longer than a minute keeps its state in VIDEO.resume. If it is interrupted or killed,
the same command with --resume continues after the last kept step and gives the same video, bit for bit;
frames are decoded again. The file is removed when the video is complete. It is also kept when
decoding gives NaN or infinity, so that --resume with another --vae-dtype can decode again.

--gpus N shares one video between the GPUs of this machine; torchrun and srun start the ranks on several. With
guidance and an even number, half of the GPUs evaluate the captions and half the negative prompt; the GPUs of
a half hold a slice of the tokens each. Latents differ from those of one GPU by the order of summation, and
repeat bit for bit on the same number. The first GPU encodes the text, decodes and writes. The kept state
continues on any number of GPUs.

Example:
  moga generate examples/mara_by_the_lake.toml --model models/demo --out mara.mp4
  moga generate film.toml --model models/Wan2.1-T2V-1.3B --out film.mp4 --gpus 8
  moga generate film.toml --model models/demo --out film.mp4 --steps 20 --seed 3)";

struct Options {
  ScriptOptions script;
  ModelOptions model;
  StreamOptions streaming;
  std::string out, noise, save_latents;
  KeepConfig keep;
  int64_t preview = 0;
  bool no_plan = false;
  int64_t gpus = 1;
};

// What the first rank, which plans, chose; the others give the defaults.
LoadWays agreed(const LoadWays& first, const World& world) {
  LoadWays ways{.stream_weights = world.ranks.any(first.stream_weights)};
  ways.rest_experts = world.ranks.any(first.rest_experts.value_or(false));
  return ways;
}

// Wrong settings, and on a GPU a run that cannot fit, are refused before any weight is read. The rehearsals take
// seconds; the first rank does them for all. Returns where weights are to be kept.
LoadWays plan(const Options& options, const std::optional<ModelConfigs>& configs, const Script& script,
              const World& world) {
  const at::Device device = options.model.place();
  const LoadWays asked{.stream_weights = options.streaming.chosen(device) == StreamWeights::always};
  if (!configs) return asked;
  check_script_images(script, *configs);
  check_image_files(script);
  const GenerationPlanRequest request =
      plan_request(*configs, options.model, options.streaming, script, options.script.file);
  if (options.no_plan || !device.is_cuda()) return asked;
  if (!world.first()) return agreed({}, world);
  const Plan plan = plan_generation(of_rank(request, world.ranks.size()), device, options.model.compute_dtype());
  check_fits(plan);
  log_info("planned: peak memory ", format_bytes(static_cast<double>(plan.peak_bytes())), ", ",
           format_duration(plan.seconds()), " after loading",
           plan.stream_weights ? "; the transformer's blocks are streamed from host memory"
           : plan.rest_experts ? "; the expert that does not compute rests in host memory"
                               : "");
  MemoryMeter(device).reset_peak();  // so that the reported peak is that of the run itself
  return agreed({.stream_weights = plan.stream_weights, .rest_experts = plan.rest_experts}, world);
}

double tenths(std::chrono::duration<double> seconds) { return std::round(seconds.count() * 10) / 10; }

// The script with what the command line sets over it.
Script complete_script(Script script, const Options& options) {
  script.set = options.model.all_settings(script.set);
  return script;
}

// "wan + moga.safetensors + style.safetensors:0.8"
std::string model_name(const ModelOptions& model) {
  std::string name =
      std::filesystem::absolute(std::filesystem::path(model.folder) / "").parent_path().filename().string();
  if (const auto& adapter = model.adapters.adapter; !adapter.empty()) name += " + " + adapter.filename().string();
  for (const LoraRequest& lora : model.adapters.loras) {
    std::ostringstream weight;
    weight << lora.weight;
    name += " + " + lora.file.filename().string() + ":" + weight.str();
  }
  return name;
}

// Checks all outputs before long work.
void check_outputs(const Options& options, const std::filesystem::path& state) {
  check_video_path(options.out);
  const std::filesystem::path sheet = sheet_path(options.out);
  for (const std::filesystem::path& path : {sheet, state}) check_writable(path);
  if (!options.save_latents.empty()) check_writable(options.save_latents);
  for (const std::filesystem::path& path : {std::filesystem::path(options.out), sheet})
    if (std::filesystem::is_regular_file(path)) log_info(path.string(), ": exists, will be replaced");
}

// What the run writes, on the first rank; the others write nothing.
void set_outputs(GenerateOptions& generation, const Options& options, const Script& script) {
  generation.save_latents = options.save_latents;
  generation.keep = options.keep;
  generation.keep.path = state_path(options.out);
  generation.tags = film_tags(complete_script(script, options), model_name(options.model), "moga " MOGA_VERSION);
  if (options.preview > 0) {
    const std::filesystem::path vae = std::filesystem::path(options.model.folder) / "vae";
    generation.preview = {
        .every = options.preview,
        .files = preview_files(options.out),
        .decoder = load_preview_decoder(vae, load_codec_config(vae / "config.json")->latent_channels())};
    check_writable(generation.preview.files.sheet);
    check_video_path(generation.preview.files.film);
  }
  check_outputs(options, generation.keep.path);
}

using Seconds = std::chrono::duration<double>;

void print_summary(const GeneratedFiles& files, size_t shots, Seconds seconds, Seconds loading, c10::Device device) {
  std::cout << "video          " << files.video.string() << " (" << files.frames << " frames, " << shots << " shots)\n"
            << "contact sheet  " << files.sheet.string() << "\n"
            << "seconds        " << tenths(seconds) << ", after " << tenths(loading) << " of loading\n"
            << "peak memory    " << format_bytes(static_cast<double>(peak_memory(device))) << std::endl;
}

void run(Options options) {
  set_quiet(options.model.quiet);
  const World world = join_world(options.model.device);
  if (world.several()) options.model.device = world.device.str();
  options.model.quiet = options.model.quiet || !world.first();
  const std::optional<ModelConfigs> configs = options.model.configs();
  const Strides pixels = configs ? configs->pixels_per_token() : kWanPixelsPerToken;
  const Script script = options.script.load(options.model.folder, pixels);
  // Everything that can be wrong is checked before loading the models, which takes long.
  GenerateOptions generation;
  if (world.first()) set_outputs(generation, options, script);
  if (!options.noise.empty()) generation.noise = load_latents(options.noise);
  if (const std::string note = script.frame_note(pixels); !note.empty()) log_info(note);
  LoadWays ways = plan(options, configs, script, world);
  ways.text_encoder = world.first();
  check_nothing_kept(generation.keep);  // after the settings, so that a mistyped one is reported first
  const auto start = std::chrono::steady_clock::now();
  Models models = options.model.load(options.model.all_settings(script.set), ways);
  generation.sampler = models.sampler;
  generation.mesh = generation_mesh(world.ranks, models.sampler);
  const auto loaded = std::chrono::steady_clock::now();
  if (world.first()) {
    const GeneratedFiles files = generate_files(script, std::move(models), generation, options.out);
    print_summary(files, script.shot.size(), std::chrono::steady_clock::now() - loaded, loaded - start, world.device);
  } else {
    generate(script, std::move(models), generation, {});
  }
  leave(world.ranks);
}

}  // namespace

void add_generate(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("generate", "Generate a video from a shot script");
  command->footer(kManual);
  options->script.add(*command)->required();
  command->add_option("--out", options->out, "video to write, .mp4 or .y4m")->required();
  command->add_option("--noise", options->noise, "latents to start from, safetensors (default: drawn from the seed)");
  command
      ->add_option("--noise-from", options->script.noise_from,
                   "who draws the noise of the seed: " + choice_help<NoiseSource>() + " (default: the script's)")
      ->excludes("--noise");
  command->add_option("--save-latents", options->save_latents, "safetensors file for the final latents");
  command->add_option("--preview", options->preview, "sampler steps between previews of the film; 0: none")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--resume", options->keep.resume,
                    "continue from the state that a killed run left next to the video");
  command->add_option("--keep-every", options->keep.seconds, "seconds of denoising between two writes of the state")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--no-plan", options->no_plan, "start without rehearsing whether the run fits (on a GPU)");
  options->model.add(*command);
  options->model.add_adapter(*command);
  options->streaming.add(*command);
  add_gpus_option(*command, options->gpus);
  command->callback([options] {
    if (!run_as_ranks(options->gpus)) run(*options);
  });
}

}  // namespace moga
