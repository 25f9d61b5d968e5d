// Identity of a run. See run_identity.h.
#include "moga/train/run_identity.h"

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/train/file_hash.h"

namespace moga {

nlohmann::json run_identity(const TrainConfig& config) {
  nlohmann::json identity = {{"seed", config.seed},
                             {"init", config.init},
                             {"text_encoder_init", config.text_encoder_init},
                             {"train_text_encoder", config.train_text_encoder},
                             {"negative_prompt", config.negative_prompt},
                             {"transformer", nlohmann::json::parse(to_json(config.transformer))},
                             {"text_encoder", nlohmann::json::parse(to_json(config.text_encoder))},
                             {"stage", nlohmann::json::array()}};
  // Kernels give the same result by another way, so a run may change them.
  identity["transformer"]["moga"].erase("backend");
  std::filesystem::path tokenizer = config.tokenizer;
  if (std::filesystem::is_directory(tokenizer)) tokenizer /= "spiece.model";
  identity["tokenizer"] = to_hex(file_hash(tokenizer));
  for (const StageConfig& stage : config.stage)
    identity["stage"].push_back({{"name", stage.name}, {"data", stage.data}, {"frames", stage.frames}});
  return identity;
}

void check_same_run(const nlohmann::json& checkpoint, const nlohmann::json& config, const std::string& source) {
  const nlohmann::json now = config.flatten();
  const nlohmann::json then = checkpoint.flatten();
  for (const auto& [pointer, value] : then.items()) {
    std::string key = pointer.substr(1);
    std::replace(key.begin(), key.end(), '/', '.');
    const std::string found = now.contains(pointer) ? now[pointer].dump() : "absent";
    check(found == value.dump(), source, " was made with ", key, " = ", value.dump(), ", the config says ", found,
          "; start a new run in another folder, or restore the key");
  }
}

}  // namespace moga
