// moga bench: speed and memory of attention, a block, a model and the VAE on this machine.
#include <charconv>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/ranks.h"
#include "apps/size_options.h"
#include "moga/bench/attention_bench.h"
#include "moga/bench/block_bench.h"
#include "moga/bench/model_bench.h"
#include "moga/bench/product_bench.h"
#include "moga/bench/shapes.h"
#include "moga/bench/train_bench.h"
#include "moga/bench/vae_bench.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/model/registry.h"
#include "moga/parallel/connect.h"
#include "moga/train/loop/run.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Weights and inputs are random. Times are medians of warm repetitions, by CUDA events on a GPU.
The same run measures the device's matrix rate, which each row is compared with, and the baseline
of the last column.

Without sizes: Wan2.1-1.3B over 477 frames of 832x480 on a GPU, a small model on a CPU.

Example:
  moga bench attention --tokens 31200 --cases equal:5,windows
  moga bench block --tokens 187200 --groups 5 --json block.json
  moga bench model --model 1.3B --tokens 563160 --groups 20 --windows 4x4)";

constexpr const char* kAttentionManual =
    R"(attend over groups of several kinds, forward and backward, compared with dense attention by cuDNN.
Cases: dense; equal:M and unequal:M (group lengths equal, or from 0.5 to 1.5 of the mean, with
rows in group order); routed:M (rows in random order, so they are gathered and scattered);
windows (with keys beyond cuts); frames. FLOP: 4 x pairs x heads x head size forward, 2.5 times
that backward.
The last column is the FLOP/s divided by that of dense attention.

Example:
  moga bench attention --tokens 187200 --shots 9 --json attention.json
  moga bench attention --tokens 31200 --cases equal:5,equal:20 --backend flash)";

constexpr const char* kBlockManual =
    R"(One transformer block: full attention in plain operations by cuDNN, full attention by the
chosen backend, MoGA; forward, and forward with backward (including weight gradients). The
last column is the first row's time divided by this row's.

Example:
  moga bench block --tokens 187200 --groups 5 --json block.json
  moga bench block --model 14B --frames 21 --shots 1 --no-full)";

constexpr const char* kModelManual =
    R"(One evaluation of a whole transformer, as a sampler step does it; with --guided the two of a step with
guidance. With --gpus N on a mesh guidance x sequence, as `moga generate --gpus N`: seconds and memory are
those of the largest rank, FLOP/s the mean.

Example:
  moga bench model --tokens 563160 --groups 20 --windows 4x4 --warm-up 1 --repeats 1
  moga bench model --model 14B --frames 21 --shots 1 --full
  moga bench model --model 14B --frames 21 --shots 1 --fp8
  moga bench model --frames 361 --shots 12 --groups 20 --windows 4x4 --guided --gpus 2)";

constexpr const char* kProductsManual =
    R"(The matrix products of one transformer block, without attention and norms: q, k, v, output and feed-forward.
Rows: weights in the dtype of --dtype; in 8 bits, dequantised for each product; in 8 bits, with inputs
quantised as well (`moga generate --fp8`). The last column is the first row's time divided by this row's.

Example:
  moga bench products --model 14B --tokens 32760
  moga bench products --model 1.3B --tokens 187200)";

constexpr const char* kTrainManual =
    R"(A whole train step with random weights and latents: forward and backward pass and AdamW over
float32 masters. Each --recompute is a row: none, selective or full; full+host keeps block inputs in
host memory; selective:12 keeps results of attention in the last 12 blocks. --trace FILE records one more
step and writes it for Perfetto or chrome://tracing.

Example:
  moga bench train --tokens 187200 --recompute selective,full,full+host --warm-up 1 --repeats 2
  moga bench train --tokens 187200 --gpus 2 --shard optimizer
  moga bench train --model 14B --tokens 187200 --gpus 2 --shard full --recompute full+host --moments bfloat16)";

constexpr const char* kVaeManual =
    R"(Encoding and decoding of a clip, streamed latent frame by latent frame, with Wan2.1's VAE and random
weights or the one of --model. The last column is milliseconds for each frame of the video.
--convolution is how its convolutions are computed: our kernel (sm90), one 3D convolution of the library
(volume), 2D convolutions added up (planes), or one over stacked frames (stacked).

Example:
  moga bench vae --frames 81 --size 832x480 --json vae.json
  moga bench vae --model TI2V-5B --frames 121 --size 1280x704
  moga bench vae --frames 1441 --only decode --warm-up 0 --repeats 1)";

struct Options {
  std::string device = "auto", dtype, backend = "auto", json, model, windows;
  std::optional<int64_t> tokens, frames, rows, columns, shots, heads, head_dim, groups, run_frames, boundary_frames;
  std::vector<std::string> cases;
  bool no_backward = false, no_full = false, full = false, guided = false, stream_weights = false, eight_bit = false,
       quiet = false;
  int64_t gpus = 1;
  MeterConfig meter;
};

struct TrainOptions {
  std::vector<std::string> recompute = {"selective"};
  std::string weights = "bfloat16", moments = "float32", shard = "none";
  double ema = 0;
  int64_t videos = 1;
  int64_t lora_rank = 0;
  int64_t gpus = 1, data = 1;
  std::string trace;
};

struct VaeOptions {
  std::string size, only = "both", convolution = "auto";
};

// Sizes that suit the device: half a minute of 480p on a GPU, seconds of work on a CPU.
struct Defaults {
  int64_t frames, rows, columns, shots;
};
Defaults defaults_of(c10::Device device) {
  return device.is_cuda() ? Defaults{120, 30, 52, 9} : Defaults{12, 8, 12, 2};
}

VideoShape video_of(const Options& options, c10::Device device) {
  const Defaults defaults = defaults_of(device);
  VideoShape video;
  video.rows = options.rows.value_or(defaults.rows);
  video.columns = options.columns.value_or(defaults.columns);
  check(video.rows > 0 && video.columns > 0, "frames of ", video.rows, "x", video.columns, " tokens");
  check(!(options.tokens && options.frames), "give --tokens or --frames, not both");
  video.frames = options.frames.value_or(defaults.frames);
  if (options.tokens) {
    video.frames = *options.tokens / video.frame_tokens();
    check(video.frames > 0 && *options.tokens % video.frame_tokens() == 0, "--tokens ", *options.tokens,
          " is not a number of frames of ", video.rows, "x", video.columns, " = ", video.frame_tokens(),
          " tokens (--rows, --columns)");
  }
  check(video.frames > 0, "--frames is ", video.frames, ", expected at least 1");
  const int64_t shots = options.shots.value_or(std::min(defaults.shots, video.frames));
  check(shots > 0 && shots <= video.frames, video.frames, " frames cannot be cut into ", shots, " shots");
  video.shot_frames = equal_cuts(video.frames, shots);
  return video;
}

BenchSetup setup_of(const Options& options) {
  set_quiet(options.quiet);
  const c10::Device device = parse_device(options.device);
  const c10::ScalarType dtype = compute_dtype(options.dtype.empty() ? "auto" : options.dtype, device);
  return {device, dtype, choice<AttentionBackend>("--backend", options.backend), !options.no_backward, options.meter};
}

void apply(const Options& options, VisualAttentionConfig& config) {
  config.kind = AttentionKind::kMoga;
  if (options.groups) config.groups = *options.groups;
  if (!options.windows.empty())
    std::tie(config.windows.rows, config.windows.columns) = parse_pair(options.windows, "--windows");
  if (options.run_frames) config.windows.run_frames = *options.run_frames;
  if (options.boundary_frames) config.windows.boundary_frames = *options.boundary_frames;
  config.validate();
}

Cloned<VideoModelConfig> model_of(const Options& options, c10::Device device) {
  Cloned<VideoModelConfig> model = named_model(options.model.empty() ? "1.3B" : options.model).model;
  std::vector<std::string> sizes;
  if (options.model.empty() && device.is_cpu())
    sizes = {"num_attention_heads=4", "attention_head_dim=64", "ffn_dim=1024",
             "num_layers=2",          "text_dim=256",          "text_len=64"};
  if (options.heads) sizes.push_back("num_attention_heads=" + std::to_string(*options.heads));
  if (options.head_dim) sizes.push_back("attention_head_dim=" + std::to_string(*options.head_dim));
  model->apply(sizes, "command line");
  apply(options, model->attention());
  model->validate();
  return model;
}

void write(const BenchReport& report, const Options& options) {
  std::cout << to_table(report) << std::flush;
  if (!options.json.empty()) write_text(options.json, to_json_text(report));
}

void run_attention(const Options& options) {
  const BenchSetup setup = setup_of(options);
  const Cloned<VideoModelConfig> model = model_of(options, setup.device);
  AttentionBenchConfig config{.video = video_of(options, setup.device),
                              .heads = model->shape().heads,
                              .head_dim = model->shape().head_dim,
                              .windows = model->attention().windows};
  if (options.groups) {
    const std::string groups = std::to_string(*options.groups);
    config.cases = {"equal:" + groups, "unequal:" + groups, "routed:" + groups, "windows", "frames"};
  }
  if (!options.cases.empty()) config.cases = options.cases;
  write(bench_attention(config, setup), options);
}

void run_block(const Options& options) {
  const BenchSetup setup = setup_of(options);
  const Cloned<VideoModelConfig> model = model_of(options, setup.device);
  const BlockBenchConfig config{model, video_of(options, setup.device), !options.no_full};
  write(bench_block(config, setup), options);
}

void run_products(const Options& options) {
  const BenchSetup setup = setup_of(options);
  const ModelShape shape = model_of(options, setup.device)->shape();
  write(bench_products({shape.width(), shape.ffn, video_of(options, setup.device).tokens()}, setup), options);
}

void run_model(Options options) {
  const World world = join_world(options.device);
  options.device = world.device.str();
  options.quiet = options.quiet || !world.first();
  BenchSetup setup = setup_of(options);
  setup.mesh = Mesh::generation(world.ranks, guidance_ranks(world.ranks.size(), options.guided));
  const ModelBenchConfig config{model_of(options, setup.device),
                                video_of(options, setup.device),
                                options.guided,
                                options.full,
                                options.stream_weights,
                                options.eight_bit};
  const BenchReport report = bench_model(config, setup);
  if (world.first()) write(report, options);
  leave(world.ranks);
}

// selective, full+host, selective:12+host
RecomputeConfig recompute_of(const std::string& option) {
  std::string text = option;
  constexpr std::string_view kHost = "+host";
  RecomputeConfig config;
  config.offload_inputs = text.ends_with(kHost);
  if (config.offload_inputs) text.resize(text.size() - kHost.size());
  if (const size_t colon = text.find(':'); colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, config.selective_blocks);
    check(error == std::errc() && rest == end && config.selective_blocks > 0, "--recompute is ", option,
          ", expected a number of blocks after the colon, as in selective:12");
    text.resize(colon);
  }
  config.mode = choice<Recompute>("--recompute", text);
  return config;
}

void run_train(Options options, const TrainOptions& train) {
  const Ranks ranks = join_ranks({.data = train.data, .sequence = 0}, options.device);
  options.device = ranks.device.str();
  options.quiet = options.quiet || !ranks.first();
  BenchSetup setup = setup_of(options);
  setup.mesh = ranks.mesh;
  TrainBenchConfig config;
  config.train.transformer = model_of(options, setup.device);
  config.train.transformer->attention().backend = setup.backend;
  config.train.text = TextSource::kStored;
  config.train.weights = choice<Storage>("--weights", train.weights);
  config.train.optimizer.moments = choice<Storage>("--moments", train.moments);
  config.train.ema = train.ema;
  config.train.lora.rank = train.lora_rank;
  config.train.parallel.shard = choice<Shard>("--shard", train.shard);
  check(config.train.parallel.shard != Shard::kAuto, "--shard is auto, expected none, optimizer or full");
  config.video = video_of(options, setup.device);
  config.videos = train.videos;
  for (const std::string& text : train.recompute) config.variants.push_back(recompute_of(text));
  config.trace = train.trace;
  const BenchReport report = bench_train(config, setup);
  if (ranks.first()) write(report, options);
  leave(ranks.mesh.world());
}

void run_vae(const Options& options, const VaeOptions& vae) {
  const BenchSetup setup = setup_of(options);
  VaeBenchConfig config;
  const Cloned<VideoModelConfig> published = published_video_model(options.model);  // empty for a folder
  config.codec = published_codec(published ? *published : *default_video_model());
  config.convolution = choice<ConvolutionWay>("--convolution", vae.convolution);
  if (setup.device.is_cpu()) config.frames = 9, config.width = 224, config.height = 128;
  if (options.frames) config.frames = *options.frames;
  if (!vae.size.empty()) std::tie(config.width, config.height) = parse_pair(vae.size, "--size");
  config.only = choice<VaeWay>("--only", vae.only);
  const std::filesystem::path folder = options.model;
  if (!options.model.empty() && !published)
    config.folder = std::filesystem::exists(folder / "vae") ? folder / "vae" : folder;
  write(bench_vae(config, setup), options);
}

void add_sizes(CLI::App& command, Options& options) {
  command.add_option("--tokens", options.tokens, "tokens, a multiple of the tokens per frame");
  command.add_option("--frames", options.frames, "latent frames, instead of --tokens (default: 120, CPU: 12)");
  command.add_option("--rows", options.rows, "tokens down a frame (default: 30, CPU: 8)");
  command.add_option("--columns", options.columns, "tokens across a frame (default: 52, CPU: 12)");
  command.add_option("--shots", options.shots, "shots of equal length (default: 9, CPU: 2)");
  command.add_option("--model", options.model,
                     "1.3B, 14B, I2V-14B, A14B, I2V-A14B, TI2V-5B, MMDiT-2B, a config.json or a model folder (default: "
                     "1.3B, CPU: small)");
  command.add_option("--heads", options.heads, "attention heads (default: the model's)");
  command.add_option("--head-dim", options.head_dim, "head size (default: the model's)");
  command.add_option("--groups", options.groups, "routed groups M (default: the model's, 5)");
  command.add_option("--windows", options.windows, "windows down x across the frame (default: the model's, 2x2)");
  command.add_option("--run-frames", options.run_frames, "latent frames per run T (default: the model's, 10)");
  command.add_option("--boundary-frames", options.boundary_frames,
                     "latent frames of extra keys across a cut (default: the model's, 2)");
  command.add_option("--backend", options.backend, "of attention: " + choice_list<AttentionBackend>())
      ->capture_default_str();
}

void add_common(CLI::App& command, Options& options) {
  command.add_option("--device", options.device, "cpu, cuda, cuda:1, or auto: a GPU when there is one")
      ->capture_default_str();
  command.add_option("--dtype", options.dtype,
                     "float32, bfloat16 or float16 (default: bfloat16 on a GPU, else float32)");
  command.add_option("--warm-up", options.meter.warm_up, "repetitions that are not measured")->capture_default_str();
  command.add_option("--repeats", options.meter.repeats, "largest number of repetitions")->capture_default_str();
  command.add_option("--seconds", options.meter.seconds, "time limit per row; at least 3 repetitions are measured")
      ->capture_default_str();
  command.add_option("--json", options.json, "file to write as JSON");
  command.add_flag("--quiet", options.quiet, "print only results and errors");
}

CLI::App* add_part(CLI::App& bench, const char* name, const char* what, const char* manual,
                   const std::shared_ptr<Options>& options, void (*run)(const Options&)) {
  CLI::App* command = bench.add_subcommand(name, what);
  command->footer(manual);
  add_sizes(*command, *options);
  add_common(*command, *options);
  command->callback([options, run] { run(*options); });
  return command;
}

void add_train_bench(CLI::App& bench) {
  const auto options = std::make_shared<Options>();
  const auto train = std::make_shared<TrainOptions>();
  CLI::App* command = bench.add_subcommand("train", "A whole train step, with recomputation");
  command->footer(kTrainManual);
  add_sizes(*command, *options);
  command
      ->add_option("--lora-rank", train->lora_rank, "train low-rank updates of this rank and routers; 0: all weights")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{4096}));
  command->add_option("--videos", train->videos, "videos per train step")->capture_default_str();
  command
      ->add_option("--recompute", train->recompute,
                   choice_list<Recompute>() + ", each also with +host; selective:N in N blocks")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--weights", train->weights, choice_list<Storage>() + "; masters are float32")
      ->capture_default_str();
  command->add_option("--moments", train->moments, choice_list<Storage>())->capture_default_str();
  add_gpus_option(*command, train->gpus);
  command->add_option("--data", train->data, "ranks that train on different videos; the others share each video")
      ->capture_default_str();
  command->add_option("--shard", train->shard, "training state that is divided over the ranks: none, optimizer, full")
      ->capture_default_str();
  command->add_option("--trace", train->trace, "write a trace of one more step (JSON), of the first rank");
  command->add_option("--ema", train->ema, "decay of the weights' moving average; 0: none")->capture_default_str();
  add_common(*command, *options);
  command->callback([options, train] {
    if (!run_as_ranks(train->gpus)) run_train(*options, *train);
  });
}

void add_vae(CLI::App& bench) {
  const auto options = std::make_shared<Options>();
  const auto vae = std::make_shared<VaeOptions>();
  CLI::App* command = bench.add_subcommand("vae", "Encoding and decoding of a clip");
  command->footer(kVaeManual);
  command->add_option("--frames", options->frames, "frames of the video, for Wan2.1 1 + 4k (default: 81, CPU: 9)");
  command->add_option("--size", vae->size, "width x height in pixels (default: 832x480, CPU: 224x128)");
  command->add_option("--model", options->model,
                      "VAE or model folder, or a published model with random weights: TI2V-5B (default: Wan2.1)");
  command->add_option("--only", vae->only, choice_list<VaeWay>())->capture_default_str();
  command->add_option("--convolution", vae->convolution, choice_list<ConvolutionWay>())->capture_default_str();
  add_common(*command, *options);
  command->callback([options, vae] { run_vae(*options, *vae); });
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* bench = app.add_subcommand("bench", "Measure speed and memory on this machine");
  bench->footer(kManual);
  bench->require_subcommand(1);
  const auto of_attention = std::make_shared<Options>(), of_block = std::make_shared<Options>(),
             of_model = std::make_shared<Options>();
  CLI::App* attention = add_part(*bench, "attention", "Attention over groups, and dense attention", kAttentionManual,
                                 of_attention, run_attention);
  attention->add_option("--cases", of_attention->cases, "what to measure (default: all)")->delimiter(',');
  attention->add_flag("--no-backward", of_attention->no_backward, "forward only");
  CLI::App* block =
      add_part(*bench, "block", "A transformer block, with MoGA and full attention", kBlockManual, of_block, run_block);
  block->add_flag("--no-backward", of_block->no_backward, "forward only");
  block->add_flag("--no-full", of_block->no_full, "without full attention");
  CLI::App* model = add_part(*bench, "model", "One evaluation of a whole transformer", kModelManual, of_model,
                             [](const Options& options) { run_model(options); });
  model->callback([of_model] {
    if (!run_as_ranks(of_model->gpus)) run_model(*of_model);
  });
  add_gpus_option(*model, of_model->gpus);
  model->add_flag("--guided", of_model->guided, "with guidance: captions and negative prompts");
  model->add_flag("--full", of_model->full, "measure full attention as well");
  model->add_flag("--stream-weights", of_model->stream_weights,
                  "also measure MoGA with weights streamed from host memory");
  model->add_flag("--fp8", of_model->eight_bit, "also measure MoGA with weights in 8 bits (moga generate --fp8)");
  add_part(*bench, "products", "The matrix products of a block, also with weights in 8 bits", kProductsManual,
           std::make_shared<Options>(), run_products);
  add_train_bench(*bench);
  add_vae(*bench);
}

}  // namespace moga
