// The options that all commands with a model share: its folder, device and dtypes, and sampler settings that override
// the model's own.
#pragma once

#include <CLI/CLI.hpp>

#include <charconv>
#include <optional>
#include <string>

#include "moga/core/device.h"
#include "moga/core/log.h"
#include "moga/pipeline/models.h"
#include "moga/train/loop/run.h"

namespace moga {

struct ModelOptions {
  std::string folder;
  std::string device = "auto";
  std::string dtype;      // empty: bfloat16 on a GPU, float32 on a CPU
  std::string vae_dtype;  // empty: default_vae_dtype
  std::string attention;
  std::optional<std::string> solver;
  std::optional<int64_t> steps, full_steps;
  std::vector<int64_t> full_layers;
  std::vector<std::string> settings;
  std::optional<double> shift, guidance, guidance_2;
  AdapterRequests adapters;
  EightBitProducts eight_bit = EightBitProducts::kDequantise;
  bool quiet = false;

  void add(CLI::App& command) {
    command.add_option("--model", folder, "model folder in diffusers' layout")->required();
    command.add_option("--device", device, "cpu, cuda, cuda:1, or auto: a GPU if there is one")->capture_default_str();
    command.add_option("--dtype", dtype, "float32, bfloat16 or float16 (default: bfloat16 on a GPU, else float32)");
    command.add_option("--vae-dtype", vae_dtype, "dtype of the VAE (default: as --dtype on a GPU, else float32)");
    command.add_option("--attention", attention,
                       "backend: " + choice_list<AttentionBackend>() + " (default: the model's)");
    command.add_option("--solver", solver, choice_list<SolverKind>() + " (default: the model's)");
    command.add_option("--steps", steps, "sampler steps (default: the model's)");
    command.add_option("--shift", shift, "timestep shift (default: the model's)");
    command.add_option("--guidance", guidance,
                       "classifier-free guidance scale, 1: off, larger: stronger (default: the model's)");
    command.add_option("--guidance-2", guidance_2,
                       "guidance of the low-noise expert, in models of two (default: the model's, or --guidance)");
    command.add_option("--full-steps", full_steps,
                       "first steps with full attention in all layers, at most --steps (default: the model's)");
    command.add_option("--full-layers", full_layers, "blocks with full attention, like 0,1 (default: the model's)")
        ->delimiter(',')
        ->allow_extra_args(false);
    command
        .add_option("--set", settings,
                    "key=value that overrides the model's configs, e.g. transformer.moga.kind=full, sampler.steps=20")
        ->allow_extra_args(false);
    command
        .add_option_function<std::vector<std::string>>(
            "--lora", [this](const auto& texts) { adapters.loras = parse_lora_requests(texts); },
            "LoRA file, or FILE:WEIGHT; may be given several times (of diffusers, PEFT, ComfyUI, kohya)")
        ->allow_extra_args(false);
    command
        .add_option_function<std::string>(
            "--fp8", [this](const std::string& name) { eight_bit = choice<EightBitProducts>("--fp8", name); },
            "how a transformer with 8-bit weights computes: " + choice_list<EightBitProducts>())
        ->default_str(name_of(eight_bit));
    command.add_flag("--quiet", quiet, "print only results and errors");
  }
  // The commands that use a MoGA adapter.
  void add_adapter(CLI::App& command) {
    command.add_option(
        "--adapter", adapters.adapter,
        "MoGA adapter for the model: routers, attention and LoRA in one file (moga calibrate --adapter)");
  }

  std::vector<std::string> settings_of_adapter() const {
    std::vector<std::string> all;
    for (const std::string& setting : adapter_settings(adapters.adapter)) all.push_back("transformer." + setting);
    return all;
  }

  // Settings in the order in which they are applied, all before they are checked: the adapter's, `first`, --set, the
  // named options.
  std::vector<std::string> all_settings(const std::vector<std::string>& first = {}) const {
    std::vector<std::string> all = settings_of_adapter();
    all.insert(all.end(), first.begin(), first.end());
    all.insert(all.end(), settings.begin(), settings.end());
    if (!attention.empty()) all.push_back("transformer.moga.backend=" + attention);
    std::string layers;
    for (const int64_t layer : full_layers) layers += (layers.empty() ? "" : ", ") + std::to_string(layer);
    if (!layers.empty()) all.push_back("transformer.moga.full_layers=[" + layers + "]");
    if (solver) all.push_back("sampler.solver=" + *solver);
    if (steps) all.push_back("sampler.steps=" + std::to_string(*steps));
    if (shift) all.push_back("sampler.shift=" + exact_text(*shift));
    if (guidance) all.push_back("sampler.guidance=" + exact_text(*guidance));
    if (guidance_2) all.push_back("sampler.guidance_2=" + exact_text(*guidance_2));
    if (full_steps) all.push_back("sampler.full_steps=" + std::to_string(*full_steps));
    return all;
  }

  // The folder's configs; empty where it is not complete, which loading reports.
  std::optional<ModelConfigs> configs() const {
    if (!missing_parts(folder).empty()) return std::nullopt;
    return load_model_configs(folder);
  }
  Models load() const { return load(all_settings()); }
  // `ways`: where weights are kept; the VAE's dtype and the adapters are those of the options.
  Models load(const std::vector<std::string>& chosen_settings, LoadWays ways = {}) const {
    set_quiet(quiet);
    ways.vae_dtype = compute_vae_dtype();
    ways.adapters = adapters;
    ways.eight_bit = eight_bit;
    return load_models(folder, place(), compute_dtype(), chosen_settings, ways);
  }

  at::Device place() const { return parse_device(device); }
  at::ScalarType compute_dtype() const { return moga::compute_dtype(dtype.empty() ? "auto" : dtype, place()); }

  at::ScalarType compute_vae_dtype() const {
    return vae_dtype.empty() ? default_vae_dtype(place(), compute_dtype()) : parse_dtype(vae_dtype);
  }

 private:
  // The shortest text that reads back as the same number.
  static std::string exact_text(double value) {
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
  }
};

}  // namespace moga
