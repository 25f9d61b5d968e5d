// Checkpoints: written whole, verified when read. See checkpoint.h.
#include "moga/train/loop/checkpoint.h"

#include <algorithm>
#include <cstdio>

#include "moga/core/check.h"
#include "moga/core/checksum.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/train/loop/checkpoint_folder.h"
#include "moga/train/loop/checkpoint_parts.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

constexpr const char* kPrefix = "step-";

nlohmann::json describe_files(const fs::path& folder) {
  nlohmann::json files = nlohmann::json::object();
  for (const auto& entry : fs::directory_iterator(folder))
    files[entry.path().filename().string()] = describe_file(entry.path());
  return files;
}

// Of all keys but "checksum" itself.
std::string checksum_of(nlohmann::json state) {
  state.erase("checksum");
  return text_checksum(state.dump());
}

// Temporary folders of checkpoints whose process was killed.
void remove_unfinished(const fs::path& run) {
  std::vector<fs::path> checkpoints;
  for (const auto& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    const size_t mark = name.find(".partial-");
    if (name.starts_with(std::string(".") + kPrefix) && mark != std::string::npos)
      checkpoints.push_back(run / name.substr(1, mark - 1));
  }
  for (const fs::path& checkpoint : checkpoints) remove_abandoned(checkpoint);
}

void remove_old(const fs::path& run, int64_t keep) {
  const auto checkpoints = list_checkpoints(run);
  for (size_t i = std::max<int64_t>(keep, 1); i < checkpoints.size(); ++i) fs::remove_all(checkpoints[i]);
}

void verify_files(const fs::path& folder, const nlohmann::json& files) {
  for (const auto& [name, expected] : files.items()) {
    const fs::path file = folder / name;
    check(fs::exists(file), folder.string(), " is damaged: ", name, " is missing");
    const uint64_t bytes = fs::file_size(file), expected_bytes = expected.at("bytes").get<uint64_t>();
    check(bytes == expected_bytes, folder.string(), " is damaged: ", name, " has ", bytes, " bytes, expected ",
          expected_bytes);
    const std::string hash = file_checksum(file);
    check(hash == expected.at("hash").get<std::string>(), folder.string(), " is damaged: ", name, " has checksum ",
          hash, ", expected ", expected.at("hash").get<std::string>());
  }
}

// The newest whole checkpoint of the run before `step`.
std::optional<fs::path> whole_before(const fs::path& run, const fs::path& damaged) {
  for (const fs::path& folder : list_checkpoints(run)) {
    if (folder.filename() >= damaged.filename()) continue;
    try {
      return open_checkpoint(folder).folder;
    } catch (const Error&) {
      continue;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string step_name(int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "%s%08lld", kPrefix, static_cast<long long>(step));
  return name;
}

nlohmann::json describe_file(const fs::path& file) {
  return {{"bytes", fs::file_size(file)}, {"hash", file_checksum(file)}};
}

void write_state(const fs::path& folder, const CheckpointContents& contents, const nlohmann::json& files) {
  nlohmann::json state = {{"step", contents.step}, {"state", contents.state}, {"files", files}};
  state["checksum"] = checksum_of(state);
  write_text(folder / "state.json", state.dump(2) + "\n");
}

void remove_unneeded(const fs::path& run, int64_t keep) {
  remove_unfinished(run);
  remove_old(run, keep);
}

fs::path save_checkpoint(const fs::path& run, const CheckpointContents& contents, int64_t keep) {
  if (!contents.placements.empty()) return save_sharded_checkpoint(run, contents, keep);
  const fs::path folder = run / step_name(contents.step);
  write_folder_atomically(folder, Existing::kReplace, [&](const fs::path& temporary) {
    for (const auto& [part, tensors] : contents.parts) save_safetensors(temporary / (part + ".safetensors"), tensors);
    write_text(temporary / "config.toml", contents.config);
    write_state(temporary, contents, describe_files(temporary));
  });
  remove_unneeded(run, keep);
  return folder;
}

fs::path Checkpoint::file_of(const std::string& part) const {
  const std::string name = part + ".safetensors";
  check(files.contains(name), folder.string(), " has no ", name);
  return folder / name;
}

std::vector<fs::path> Checkpoint::files_of(const std::string& part) const {
  std::vector<fs::path> found;
  for (const auto& item : files.items())
    if (is_file_of_part(item.key(), part)) found.push_back(folder / item.key());
  check(!found.empty(), folder.string(), " has no ", part, ".safetensors");
  return found;
}

Checkpoint open_checkpoint(const fs::path& folder) {
  check(fs::is_directory(folder), folder.string(), ": no such checkpoint");
  check(fs::exists(folder / "state.json"), folder.string(), " is damaged: state.json is missing");
  Checkpoint checkpoint;
  checkpoint.folder = folder;
  try {
    const nlohmann::json state = nlohmann::json::parse(read_text(folder / "state.json"));
    check(state.contains("checksum"), folder.string(), " is damaged: state.json has no checksum");
    const std::string expected = checksum_of(state), found = state.at("checksum").get<std::string>();
    check(found == expected, folder.string(), " is damaged: state.json has checksum ", found, ", expected ", expected);
    checkpoint.step = state.at("step").get<int64_t>();
    checkpoint.state = state.at("state");
    checkpoint.files = state.at("files");
    verify_files(folder, checkpoint.files);
  } catch (const nlohmann::json::exception& error) {
    fail(folder.string(), " is damaged: state.json: ", reason(error));
  }
  return checkpoint;
}

std::optional<Checkpoint> resume_checkpoint(const fs::path& run, const std::string& request) {
  if (request.empty()) return std::nullopt;
  fs::path folder = request;
  if (request == "auto") {
    const auto checkpoints = list_checkpoints(run);
    if (checkpoints.empty()) return std::nullopt;
    folder = checkpoints.front();
  }
  while (!folder.has_filename() && folder.has_relative_path()) folder = folder.parent_path();  // a trailing slash
  try {
    return open_checkpoint(folder);
  } catch (const Error& error) {
    const auto before = whole_before(folder.parent_path(), folder);
    if (!before) fail(error.what(), "; there is no complete checkpoint before it");
    fail(error.what(), "; resume from the one before it with --resume ", before->string());
  }
}

std::vector<fs::path> list_checkpoints(const fs::path& run) {
  std::vector<fs::path> checkpoints;
  if (!fs::is_directory(run)) return checkpoints;
  for (const auto& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && name.starts_with(kPrefix)) checkpoints.push_back(entry.path());
  }
  std::sort(checkpoints.rbegin(), checkpoints.rend());
  return checkpoints;
}

}  // namespace moga
