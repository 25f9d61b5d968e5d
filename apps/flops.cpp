// moga flops: the cost of a forward pass of the transformer, counted from shapes (moga/attention/cost.h).
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/size_options.h"
#include "moga/attention/cost.h"
#include "moga/bench/shapes.h"
#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/data/limits.h"
#include "moga/pipeline/denoise.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Floating-point operations of one evaluation of the transformer: 4 x pairs x width per layer for
attention, 2 x parameters x tokens for products. A sampler step with guidance is two evaluations.

Example:
  moga flops --model 1.3B --frames 477
  moga flops --model 14B --seconds 60 --fps 24 --groups 20 --windows 4x4 --shots 6
  moga flops --model models/demo/transformer/config.json --size 224x128 --frames 129 --shots 4)";

// Far beyond any model; every run of frames is counted individually.
constexpr int64_t kMostFrames = 10'000'000;

struct Options {
  std::string model = "1.3B", size = "832x480", windows, json;
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
  config.kind = AttentionKind::kMoga;  // even for a model with full attention
  if (options.groups) config.groups = *options.groups;
  if (!options.windows.empty())
    std::tie(config.windows.rows, config.windows.columns) = parse_pair(options.windows, "--windows");
  if (options.run_frames) config.windows.run_frames = *options.run_frames;
  if (options.boundary_frames) config.windows.boundary_frames = *options.boundary_frames;
  config.validate();
  return config;
}

// The unit that leaves the largest number with one to four digits.
struct Unit {
  const char* name;
  double flop;
};

Unit unit_for(double largest) {
  for (const Unit unit : {Unit{"PFLOP", 1e15}, Unit{"TFLOP", 1e12}, Unit{"GFLOP", 1e9}})
    if (largest >= unit.flop) return unit;
  return {"MFLOP", 1e6};
}

using Rows = std::vector<std::pair<const char*, double>>;

Rows rows_of(const ForwardCost& cost) {
  return {{"full attention", cost.full}, {"routed groups", cost.routed}, {"windows", cost.window},
          {"frames", cost.frame},        {"text attention", cost.text},  {"products", cost.products},
          {"total", cost.total()}};
}

struct Costs {
  ForwardCost full, own;
};

Costs costs_of(const ModelShape& model, const Layout& layout, const VisualAttentionConfig& own) {
  VisualAttentionConfig dense = own;
  dense.kind = AttentionKind::kFull;
  return {forward_cost(model, layout, dense), forward_cost(model, layout, own)};
}

std::string to_json_text(const Costs& costs, const Layout& layout, const VisualAttentionConfig& own) {
  nlohmann::json json = {{"tokens", layout.tokens()}, {"shots", layout.shots()}, {"sparsity", sparsity(layout, own)}};
  for (const auto& [name, flop] : rows_of(costs.full)) json["flop"]["full"][name] = flop;
  for (const auto& [name, flop] : rows_of(costs.own)) json["flop"][name_of(own.kind)][name] = flop;
  return json.dump(2) + "\n";
}

void print_table(const ModelShape& model, const Layout& layout, const VisualAttentionConfig& own, const Costs& costs) {
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
  const Unit unit = unit_for(costs.full.total());
  std::printf("%-20s %12s %12s\n", (std::string(unit.name) + " a forward").c_str(), "full", name_of(own.kind));
  const Rows full = rows_of(costs.full), moga = rows_of(costs.own);
  for (size_t i = 0; i < full.size(); ++i)
    std::printf("%-20s %12.4f %12.4f\n", full[i].first, full[i].second / unit.flop, moga[i].second / unit.flop);
  std::printf("\n%.2f times less than full attention\n", costs.full.total() / costs.own.total());
}

void run(const Options& options) {
  const NamedModel named = named_model(options.model);
  const ModelShape model = named.model->shape();
  const Layout layout = make_layout(options, named.pixels_per_token());
  const VisualAttentionConfig own = attention_config(options, named.model->attention());
  const Costs costs = costs_of(model, layout, own);
  if (!options.json.empty()) write_text(options.json, to_json_text(costs, layout, own));
  print_table(model, layout, own, costs);
}

}  // namespace

void add_flops(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("flops", "Print the cost of a forward pass: full attention and MoGA");
  command->footer(kManual);
  command
      ->add_option(
          "--model", options->model,
          "1.3B, 14B, I2V-14B (Wan2.1), A14B, I2V-A14B, TI2V-5B (Wan2.2), MMDiT-2B, a model folder or a transformer's "
          "config.json")
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
  command->add_option("--json", options->json, "file to write as JSON, in FLOP");
  command->callback([options] { run(*options); });
}

}  // namespace moga
