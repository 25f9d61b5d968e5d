// See calibrate.h. Reading and writing of calibration. Like export's, the calibrated folder is complete or absent.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/log_pause.h"
#include "moga/core/module_io.h"
#include "moga/core/shapes_only.h"
#include "moga/model/adapter/moga_adapter.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/model/registry.h"
#include "moga/pipeline/calibrate.h"
#include "moga/pipeline/export.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCaptions[][2] = {
    {"A wide shot of a busy street market at noon. A woman in a yellow raincoat walks between the stalls.",
     "Close-up: the woman in the yellow raincoat picks up an orange and smiles."},
    {"A fishing boat leaves a grey harbour at dawn, gulls above it, the camera panning slowly to the left.",
     "On deck, an old man with a white beard coils a rope while waves break behind him."},
    {"A dog runs through tall grass towards the camera on a sunny hill.",
     "A boy in a striped shirt throws a red ball; the dog jumps to catch it."},
    {"Inside a kitchen at night, steam rises from a pot, warm light from a single lamp.",
     "A chef's hands cut vegetables quickly on a wooden board."}};

bool has_routers(const fs::path& transformer) {
  const std::vector<std::string> names = Safetensors(transformer).names();
  return std::ranges::any_of(names, is_router);
}

// Settings of the transformer, without those that only affect how it is run; those of the second expert are added to
// those of both.
std::vector<std::string> lasting_settings(const std::vector<std::string>& settings, bool second) {
  std::vector<std::string> lasting;
  for (const std::string part : {"transformer.", "transformer_2."}) {
    if (part == "transformer_2." && !second) break;
    for (const std::string& setting : settings)
      if (setting.starts_with(part) && !setting.starts_with(part + "moga.backend="))
        lasting.push_back(setting.substr(part.size()));
  }
  lasting.push_back("moga.kind=moga");
  return lasting;
}

// `settings`: of this transformer.
void write_transformer(const fs::path& from, const fs::path& to, const std::vector<std::string>& settings,
                       const ExpertCalibration& calibration) {
  const at::ScalarType dtype = main_dtype(from);
  const VideoModelPtr model = [&] {
    const LogPause pause;  // that routers are missing is no news: they follow
    return load_video_model(from, {.device = at::kCPU, .dtype = dtype, .settings = settings});
  }();
  const TensorMap tensors = named_tensors(*model);
  for (const LayerCalibration& layer : calibration.layers) {
    const std::string prefix = router_prefix(layer.layer);
    tensors.at(prefix + "weight").detach().copy_(layer.router().weight);
    tensors.at(prefix + "bias").detach().copy_(layer.router().bias);
  }
  model->save(to, dtype, video_model_layout(from));
}

nlohmann::json to_json(const std::map<std::string, RouterScore>& scores) {
  nlohmann::json json;
  for (const auto& [name, score] : scores)
    json[name] = {{"smallest_group", score.smallest}, {"largest_group", score.largest},
                  {"balance_loss", score.balance},    {"gate", score.gate},
                  {"error_mean", score.error_mean},   {"error_lse", score.error_lse}};
  return json;
}

nlohmann::json to_json(const std::vector<LayerCalibration>& layers) {
  nlohmann::json json = nlohmann::json::array();
  for (const LayerCalibration& layer : layers)
    json.push_back({{"layer", layer.layer}, {"method", layer.method}, {"routers", to_json(layer.scores)}});
  return json;
}

std::string table_row(const std::string& layer, const std::string& router, const RouterScore& score) {
  char text[160];
  std::snprintf(text, sizeof text, "%-6s %-22s %7.1f %% %7.1f %% %9.3f %7.2f %10.3f %10.3f\n", layer.c_str(),
                router.c_str(), 100 * score.smallest, 100 * score.largest, score.balance, score.gate, score.error_mean,
                score.error_lse);
  return text;
}

std::string table_rows(const ExpertCalibration& calibration) {
  std::string rows;
  for (const LayerCalibration& layer : calibration.layers) {
    rows += table_row(std::to_string(layer.layer), "calibrated: " + layer.method, layer.scores.at("calibrated"));
    for (const char* name : {"random", "trained"})
      if (layer.scores.contains(name)) rows += table_row("", name, layer.scores.at(name));
  }
  for (const auto& [name, score] : calibration.all) rows += table_row("all", name, score);
  return rows;
}

}  // namespace

std::vector<std::string> calibration_settings(const fs::path& folder, const std::vector<std::string>& settings) {
  std::vector<std::string> all = settings;
  if (fs::is_directory(folder / "transformer") && !has_routers(folder / "transformer"))
    all.push_back("transformer.moga.kind=full");
  return all;
}

std::vector<Script> calibration_scripts(PixelSize size, int64_t frames, const Strides& pixels_per_token) {
  check(frames >= 2, "calibration: frames = ", frames, ", expected 2 or more, as each video has two shots");
  std::vector<Script> scripts;
  for (const auto& captions : kCaptions) {
    Script script;
    script.title = "calibration";
    script.size = {size.width, size.height};
    script.seed = static_cast<int64_t>(scripts.size());
    script.shot.resize(2);
    for (int64_t i = 0; i < 2; ++i) script.shot[i] = {captions[i], {}, (frames + 1 - i) / 2};
    script.validate(pixels_per_token);
    scripts.push_back(std::move(script));
  }
  return scripts;
}

void write_calibrated(const fs::path& from, const fs::path& to, const std::vector<std::string>& settings,
                      const Calibration& calibration) {
  write_folder_atomically(to, Existing::kRefuse, [&](const fs::path& temporary) {
    for (const auto& entry : fs::directory_iterator(from))
      if (const auto name = entry.path().filename(); name != "transformer" && name != "transformer_2")
        fs::copy(entry.path(), temporary / name, fs::copy_options::recursive);
    write_transformer(from / "transformer", temporary / "transformer", lasting_settings(settings, /*second=*/false),
                      calibration);
    if (calibration.low_noise)
      write_transformer(from / "transformer_2", temporary / "transformer_2",
                        lasting_settings(settings, /*second=*/true), *calibration.low_noise);
  });
}

void write_calibrated_adapter(const fs::path& from, const fs::path& file, const std::vector<std::string>& settings,
                              const Calibration& calibration) {
  Cloned<VideoModelConfig> config = load_video_model_config(from / "transformer" / "config.json");
  config->apply(lasting_settings(settings, /*second=*/false), "command line");
  TensorMap routers;
  for (const LayerCalibration& layer : calibration.layers) {
    routers[router_prefix(layer.layer) + "weight"] = layer.router().weight;
    routers[router_prefix(layer.layer) + "bias"] = layer.router().bias;
  }
  std::shared_ptr<VideoModel> shapes;
  {
    const ShapesOnly shapes_only;
    shapes = config->build(/*initialise=*/false);
  }
  save_moga_adapter(file, *shapes, AdapterNames::kComfyUi, routers);
}

std::string calibration_table(const Calibration& calibration) {
  char head[160];
  std::snprintf(head, sizeof head, "%-6s %-22s %9s %9s %9s %7s %10s %10s\n", "layer", "router", "smallest", "largest",
                "balance", "gate", "error mean", "error lse");
  const std::string table = head + table_rows(calibration);
  return calibration.low_noise ? table + "transformer_2\n" + table_rows(*calibration.low_noise) : table;
}

std::string calibration_json(const Calibration& calibration, const CalibrationConfig& config) {
  nlohmann::json json{{"config", nlohmann::json::parse(moga::to_json(config))},
                      {"seconds", calibration.seconds},
                      {"all", to_json(calibration.all)},
                      {"layers", to_json(calibration.layers)}};
  if (const auto& low_noise = calibration.low_noise)
    json["transformer_2"] = {{"all", to_json(low_noise->all)}, {"layers", to_json(low_noise->layers)}};
  return json.dump(2) + "\n";
}

}  // namespace moga
