// moga info: what a file or folder holds.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/pipeline/describe.h"
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
    text += "\n  " + stage.name + ": " + std::to_string(stage.steps) + " steps of batch " +
            std::to_string(stage.batch) + ", data " + stage.data;
  return text;
}

std::string describe_any(const std::string& path) {
  if (!path.ends_with(".toml")) return describe(path);
  if (read_text(path, kMostConfigBytes).find("[[stage]]") != std::string::npos) load_train_config(path);  // its error
  try {
    return describe(path);
  } catch (const Error&) {
    const std::string kind = kind_of_config(path);
    if (kind.empty()) throw;
    return path + ": " + kind + "\n";
  }
}

void run(const Options& options) {
  if (options.reproduce) {
    std::cout << script_of_film(options.path) << std::flush;
    return;
  }
  const std::string text = describe_any(options.path);
  std::cout << printable(text) << std::flush;
  if (options.json.empty()) return;
  nlohmann::json lines = nlohmann::json::array();
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  write_text(options.json, nlohmann::json{{"path", options.path}, {"lines", lines}}.dump(
                               2, ' ', false, nlohmann::json::error_handler_t::replace) +
                               "\n");
}

}  // namespace

void add_info(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("info", "Say what a model folder, safetensors file, film, picture, script or config holds");
  command->footer(kManual);
  command->add_option("PATH", options->path, "model folder, .safetensors, .toml script or config, video or .png")
      ->required();
  command->add_flag("--reproduce", options->reproduce, "print the script of a film or contact sheet, nothing else");
  command->add_option("--json", options->json, "file to write as JSON");
  command->callback([options] { run(*options); });
}

}  // namespace moga
