// Checkpoints: written whole, verified when read. See checkpoint.h.
#include "moga/train/loop/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/train/loop/file_hash.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

constexpr const char* kPrefix = "step-";

void sync_folder(const fs::path& folder) {
  const int handle = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (handle < 0) return;
  ::fsync(handle);
  ::close(handle);
}

nlohmann::json describe_files(const fs::path& folder) {
  nlohmann::json files = nlohmann::json::object();
  for (const auto& entry : fs::directory_iterator(folder))
    files[entry.path().filename().string()] = {{"bytes", fs::file_size(entry.path())},
                                               {"hash", to_hex(file_hash(entry.path()))}};
  return files;
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
    const std::string hash = to_hex(file_hash(file));
    check(hash == expected.at("hash"), folder.string(), " is damaged: ", name, " has checksum ", hash, ", expected ",
          expected.at("hash").get<std::string>());
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

fs::path save_checkpoint(const fs::path& run, const CheckpointContents& contents, int64_t keep) {
  const fs::path folder = run / step_name(contents.step);
  const fs::path temporary = run / ("." + step_name(contents.step) + ".tmp");
  fs::remove_all(temporary);
  make_folder(temporary);
  for (const auto& [part, tensors] : contents.parts) save_safetensors(temporary / (part + ".safetensors"), tensors);
  write_text(temporary / "config.toml", contents.config);
  const nlohmann::json state = {
      {"step", contents.step}, {"state", contents.state}, {"files", describe_files(temporary)}};
  write_text(temporary / "state.json", state.dump(2) + "\n");
  sync_folder(temporary);
  fs::remove_all(folder);
  fs::rename(temporary, folder);
  sync_folder(run);
  remove_old(run, keep);
  return folder;
}

TensorMap Checkpoint::load(const std::string& part, c10::Device device) const {
  return Safetensors(folder / (part + ".safetensors")).load_all(device);
}

Checkpoint open_checkpoint(const fs::path& folder) {
  check(fs::is_directory(folder), folder.string(), ": no such checkpoint");
  check(fs::exists(folder / "state.json"), folder.string(), " is damaged: state.json is missing");
  Checkpoint checkpoint;
  checkpoint.folder = folder;
  try {
    const nlohmann::json state = nlohmann::json::parse(read_text(folder / "state.json"));
    checkpoint.step = state.at("step").get<int64_t>();
    checkpoint.state = state.at("state");
    verify_files(folder, state.at("files"));
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
  while (!folder.has_filename() && folder.has_parent_path()) folder = folder.parent_path();  // a trailing slash
  try {
    return open_checkpoint(folder);
  } catch (const Error& error) {
    const auto before = whole_before(folder.parent_path(), folder);
    if (!before) fail(error.what(), "; no whole checkpoint comes before it");
    fail(error.what(), "; resume from the one before it with --resume ", before->string());
  }
}

std::vector<fs::path> list_checkpoints(const fs::path& run) {
  std::vector<fs::path> checkpoints;
  if (!fs::is_directory(run)) return checkpoints;
  for (const auto& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && name.rfind(kPrefix, 0) == 0) checkpoints.push_back(entry.path());
  }
  std::sort(checkpoints.rbegin(), checkpoints.rend());
  return checkpoints;
}

}  // namespace moga
