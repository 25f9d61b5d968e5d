// moga info: the contents of a file or folder.
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/commands.h"
#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/data/dataset/shards.h"
#include "moga/pipeline/describe.h"
#include "moga/pipeline/describe_json.h"
#include "moga/pipeline/film_tags.h"
#include "moga/train/text/config.h"
#include "moga/train/vae/config.h"
#include "moga/train/video/config.h"
#include "moga/train/video/prepare.h"

namespace moga {
namespace {

constexpr const char* kManual = R"(Reads headers only, so it is quick for files of any size. Films and contact sheets
carry the script that they were made from; --reproduce prints it.

Example:
  moga info models/demo
  moga info models/demo/transformer/diffusion_pytorch_model.safetensors
  moga info configs/stories.toml
  moga info film.mp4 --reproduce > again.toml)";

struct Options {
  std::string path, json;
  bool reproduce = false;
};

template <class Config>
bool is_config(const std::string& path) {
  try {
    load_toml<Config>(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// " of 33 x 16 x 28 latents", or nothing when the data is not there yet.
std::string latent_size(const std::string& data) {
  if (!std::filesystem::exists(std::filesystem::path(data) / "shard-00000.safetensors")) return "";
  const at::Tensor latent = ShardDataset(data, /*open_shards=*/1).get(0).latent;
  std::ostringstream text;
  text << " of " << latent.size(1) << " x " << latent.size(2) << " x " << latent.size(3) << " latents";
  return text.str();
}

// "training config of a video transformer", or nothing when the file is a script or something else.
std::string kind_of_config(const std::string& path) {
  if (is_config<VaeTrainConfig>(path)) return "training config of a VAE, for moga train vae";
  if (is_config<TextTrainConfig>(path)) return "training config of a text encoder, for moga train text";
  if (is_config<PrepareConfig>(path)) return "config of training data, for moga prepare stories";
  if (!is_config<TrainConfig>(path)) return "";
  const TrainConfig config = load_train_config(path);
  std::string text = "training config of a video transformer, for moga train: " + std::to_string(config.total_steps()) +
                     " train steps in " + std::to_string(config.stage.size()) +
                     (config.stage.size() == 1 ? " stage" : " stages");
  for (const StageConfig& stage : config.stage)
    text += "\n  " + stage.name + ": " + std::to_string(stage.steps) + " steps of " +
            (stage.tokens_per_batch > 0 ? "up to " + std::to_string(stage.tokens_per_batch) + " tokens"
                                        : "batch " + std::to_string(stage.videos())) +
            ", data " + stage.data + latent_size(stage.data);
  std::ostringstream sampler;
  const SamplerConfig& model = config.samples.sampler;
  sampler << "\n  trained with shift " << config.flow.shift << "; the model's sampler: " << name_of(model.solver)
          << ", " << model.steps << " steps, shift " << model.shift << ", guidance " << model.guidance;
  return text + sampler.str();
}

struct Description {
  std::string text;
  nlohmann::ordered_json json;
};

Description describe_any(const std::string& path, bool with_json) {
  const bool config = path.ends_with(".toml");
  // A broken training config is reported as one, not as a script with unknown keys.
  if (config && read_text(path, kMostConfigBytes).find("[[stage]]") != std::string::npos) load_train_config(path);
  try {
    Description description{describe(path), {}};
    if (with_json) description.json = describe_json(path);
    return description;
  } catch (const Error&) {
    const std::string kind = config ? kind_of_config(path) : "";
    if (kind.empty()) throw;
    return {path + ": " + kind + "\n", {{"path", path}, {"kind", "config"}, {"description", kind}}};
  }
}

void run(const Options& options) {
  if (options.reproduce) {
    std::cout << script_of_film(options.path) << std::flush;
    return;
  }
  const Description description = describe_any(options.path, !options.json.empty());
  if (!options.json.empty())
    write_text(options.json, description.json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  std::cout << printable(description.text) << std::flush;
}

}  // namespace

void add_info(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("info", "Describe a model folder, safetensors file, video, picture, script or config");
  command->footer(kManual);
  command->add_option("PATH", options->path, "model folder, .safetensors, .toml script or config, video or .png")
      ->required();
  command->add_flag("--reproduce", options->reproduce, "print the script of a film or contact sheet, nothing else");
  command->add_option("--json", options->json, "file to write as JSON");
  command->callback([options] { run(*options); });
}

}  // namespace moga
