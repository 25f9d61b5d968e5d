// moga flops: the cost of a forward pass of the transformer, counted from shapes (moga/attention/cost.h).
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/size_options.h"
#include "moga/attention/cost.h"
#include "moga/bench/shapes.h"
#include "moga/core/check.h"
#include "moga/data/limits.h"
#include "moga/pipeline/denoise.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Floating-point operations of one evaluation of the transformer: 4 x pairs x width a layer for
attention, 2 x parameters x tokens for products. A sampler step with guidance is two of them.

Example:
  moga flops --model 1.3B --frames 477
  moga flops --model 14B --seconds 60 --fps 24 --groups 20 --windows 4x4 --shots 6
  moga flops --model models/demo/transformer/config.json --size 224x128 --frames 129 --shots 4)";

// Far beyond any model; every run of frames is counted one by one.
constexpr int64_t kMostFrames = 10'000'000;

struct Options {
  std::string model = "1.3B", size = "832x480", windows;
  std::optional<double> seconds;
  std::optional<int64_t> frames, groups, run_frames, boundary_frames;
  int64_t fps = 16, shots = 1;
};

int64_t pixel_frames(const Options& options) {
  check(!(options.seconds && options.frames), "give --seconds or --frames, not both");
  check(options.fps >= 1 && options.fps <= 1000, "--fps is ", options.fps, ", expected 1 to 1000");
  const double seconds = options.seconds.value_or(30.0);
  check(seconds > 0 && seconds <= kMostFrames, "--seconds is ", seconds, ", expected a number above 0");
  const int64_t frames = options.frames.value_or(std::llround(seconds * static_cast<double>(options.fps)));
  check(frames >= 1 && frames <= kMostFrames, options.frames ? "--frames is " : "the video has ", frames,
        " frames, expected 1 to ", kMostFrames);
  return frames;
}

Layout make_layout(const Options& options, const Strides& pixels_per_token) {
  check(options.shots >= 1, "--shots is ", options.shots, ", expected at least 1");
  const auto [width, height] = parse_pair(options.size, "--size");
  check(std::max(width, height) <= kLargestSide, "--size is '", options.size, "', expected sides up to ", kLargestSide);
  const int64_t frames = 1 + (pixel_frames(options) - 1) / pixels_per_token.frames;
  check(frames >= options.shots, frames, " latent frames cannot be cut into ", options.shots, " shots");
  return Layout{{video_shape({width, height}, equal_cuts(frames, options.shots), pixels_per_token)}};
}

VisualAttentionConfig attention_config(const Options& options, VisualAttentionConfig config) {
  config.kind = "moga";  // even for a model with full attention only
  if (options.groups) config.groups = *options.groups;
  if (!options.windows.empty())
    std::tie(config.windows.rows, config.windows.columns) = parse_pair(options.windows, "--windows");
  if (options.run_frames) config.windows.run_frames = *options.run_frames;
  if (options.boundary_frames) config.windows.boundary_frames = *options.boundary_frames;
  config.validate();
  return config;
}

void print_row(const char* name, double full, double own) {
  std::printf("%-20s %12.4f %12.4f\n", name, full / 1e15, own / 1e15);
}

void print_table(const ModelShape& model, const Layout& layout, const VisualAttentionConfig& own) {
  VisualAttentionConfig dense = own;
  dense.kind = "full";
  const ForwardCost full = forward_cost(model, layout, dense);
  const ForwardCost cost = forward_cost(model, layout, own);
  const VideoShape& video = layout.videos.front();
  std::printf("%lld latent frames of %lldx%lld tokens = %lld tokens in %lld shots; %lld blocks of width %lld\n",
              static_cast<long long>(video.frames), static_cast<long long>(video.rows),
              static_cast<long long>(video.columns), static_cast<long long>(layout.tokens()),
              static_cast<long long>(layout.shots()), static_cast<long long>(model.layers),
              static_cast<long long>(model.width()));
  std::printf("M = %lld groups, %lldx%lld windows in runs of %lld frames; sparsity %.2f %%\n\n",
              static_cast<long long>(own.groups), static_cast<long long>(own.windows.rows),
              static_cast<long long>(own.windows.columns), static_cast<long long>(own.windows.run_frames),
              100 * sparsity(layout, own));
  std::printf("%-20s %12s %12s\n", "PFLOP a forward", "full", own.kind.c_str());
  print_row("full attention", full.full, cost.full);
  print_row("routed groups", full.routed, cost.routed);
  print_row("windows", full.window, cost.window);
  print_row("frames", full.frame, cost.frame);
  print_row("text attention", full.text, cost.text);
  print_row("products", full.products, cost.products);
  print_row("total", full.total(), cost.total());
  std::printf("\n%.2f times less than full attention\n", full.total() / cost.total());
}

void run(const Options& options) {
  const NamedModel named = named_model(options.model);
  print_table(named.model->shape(), make_layout(options, named.pixels_per_token()),
              attention_config(options, named.model->attention()));
}

}  // namespace

void add_flops(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("flops", "Print the cost of a forward pass: full attention and MoGA");
  command->footer(kManual);
  command->add_option("--model", options->model, "1.3B, 14B (Wan2.1), a model folder or a transformer's config.json")
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "duration (default: 30)");
  command->add_option("--frames", options->frames, "pixel frames, instead of --seconds");
  command->add_option("--fps", options->fps, "frames per second")->capture_default_str();
  command->add_option("--size", options->size, "width x height in pixels")->capture_default_str();
  command->add_option("--shots", options->shots, "shots of equal length")->capture_default_str();
  command->add_option("--groups", options->groups, "routed groups M (default: the model's, 5)");
  command->add_option("--windows", options->windows, "windows down x across the frame (default: the model's, 2x2)");
  command->add_option("--run-frames", options->run_frames, "latent frames of a run T (default: the model's, 10)");
  command->add_option("--boundary-frames", options->boundary_frames,
                      "latent frames of keys beyond a cut (default: the model's, 2)");
  command->callback([options] { run(*options); });
}

}  // namespace moga
