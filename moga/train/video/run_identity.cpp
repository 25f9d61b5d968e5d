// Identity of a run. See run_identity.h.
#include "moga/train/video/run_identity.h"

#include "moga/core/checksum.h"
#include "moga/core/config.h"

namespace moga {

nlohmann::json run_identity(const TrainConfig& config) {
  nlohmann::json identity = {{"seed", config.seed},
                             {"init", config.init},
                             {"text_encoder_init", config.text_encoder_init},
                             {"train_text_encoder", config.train_text_encoder},
                             {"negative_prompt", config.negative_prompt},
                             {"held_out_of_own_data", config.held_out.of_own_data()},
                             {"transformer", nlohmann::json::parse(to_json(config.transformer))},
                             {"text_encoder", nlohmann::json::parse(to_json(config.text_encoder))},
                             {"stage", nlohmann::json::array()}};
  // A run may change its backend: all of them compute the same.
  identity["transformer"]["moga"].erase("backend");
  if (config.lora.enabled()) {
    identity["lora"] = nlohmann::json::parse(to_json(config.lora));
    identity["lora"].erase("names");  // of the finished file
  }
  if (config.text == TextSource::kStored) {
    identity["text"] = name_of(config.text);
    identity.erase("text_encoder");
  } else {
    std::filesystem::path tokenizer = config.tokenizer;
    if (std::filesystem::is_directory(tokenizer)) tokenizer /= "spiece.model";
    identity["tokenizer"] = file_checksum(tokenizer);
  }
  for (const StageConfig& stage : config.stage)
    identity["stage"].push_back({{"name", stage.name}, {"data", stage.data}, {"frames", stage.frames}});
  return identity;
}

}  // namespace moga
