// Start and identity of a run. See run.h.
#include "moga/train/loop/run.h"

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/log.h"
#include "moga/train/loop/checkpoint_parts.h"

namespace moga {

std::optional<Checkpoint> begin_run(const std::filesystem::path& run, const std::string& resume) {
  std::optional<Checkpoint> checkpoint = resume_checkpoint(run, resume);
  if (checkpoint) return checkpoint;
  check(list_checkpoints(run).empty(), run.string(),
        " holds the checkpoints of a run: resume it with --resume auto, or choose another folder");
  if (!resume.empty()) log_info(run.string(), " holds no checkpoint: a new run starts");
  return std::nullopt;
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

void restore_parts(const TrainParts& parts, const Checkpoint& checkpoint, const Placements& placements) {
  for (const auto& [part, tensors] : parts) {
    const PartReader reader(checkpoint.files_of(part));
    for (const auto& [name, tensor] : tensors) {
      const auto placement = placements.find(name);
      reader.restore(name, tensor, placement == placements.end() ? Placement{tensor.sizes().vec()} : placement->second);
    }
    check(!placements.empty() || reader.tensors() == tensors.size(), checkpoint.folder.string(), ": ", part, " has ",
          reader.tensors(), " tensors, expected ", tensors.size());
  }
  log_info("resumed from ", checkpoint.folder.string());
}

std::map<std::string, TensorMap> to_maps(const TrainParts& parts) {
  std::map<std::string, TensorMap> maps;
  for (const auto& [part, tensors] : parts) maps[part] = to_map(tensors);
  return maps;
}

double RunClock::seconds() const {
  return before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

}  // namespace moga
