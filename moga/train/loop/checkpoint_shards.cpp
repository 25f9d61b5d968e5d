// Checkpoints that several ranks write together: each its shards, in parallel, and rank 0 the rest. Whole or absent:
// rank 0 makes the temporary folder and renames it once every rank has written and synced its files. See checkpoint.h.
#include <nlohmann/json.hpp>

#include <optional>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/train/loop/checkpoint.h"
#include "moga/train/loop/checkpoint_folder.h"
#include "moga/train/loop/checkpoint_parts.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

using nlohmann::json;

// Runs `work` on every rank and returns what each has to tell. Where it fails on one rank, all of them throw: that rank
// its own error.
std::vector<json> together(const ProcessGroup& ranks, const std::function<json()>& work) {
  json own;
  std::string error;
  try {
    own = work();
  } catch (const std::exception& caught) {
    error = caught.what();
    if (error.empty()) error = "unknown error";
  }
  std::vector<json> all;
  std::string other;
  for (const std::string& text : ranks.all_gather_text(
           json{{"told", own}, {"error", error}}.dump(-1, ' ', false, json::error_handler_t::replace))) {
    const json told = json::parse(text);
    if (const auto found = told.at("error").get<std::string>(); !found.empty() && other.empty())
      other = "rank " + std::to_string(all.size()) + ": " + found;
    all.push_back(told.at("told"));
  }
  if (!error.empty()) fail(error);
  if (!other.empty()) throw PeerFailure(other);
  return all;
}

json write_shards(const fs::path& folder, const CheckpointContents& contents) {
  const ProcessGroup& ranks = contents.ranks;
  json files = json::object();
  for (const auto& [part, tensors] : contents.parts) {
    const std::string name = shard_file_name(part, ranks.rank(), ranks.size());
    save_shard(folder / name, tensors, contents.placements, ranks.rank() == 0);
    files[name] = describe_file(folder / name);
  }
  return files;
}

}  // namespace

fs::path save_sharded_checkpoint(const fs::path& run, const CheckpointContents& contents, int64_t keep) {
  const fs::path folder = run / step_name(contents.step);
  const bool first = contents.ranks.rank() == 0;
  std::optional<PendingFolder> pending;  // of rank 0
  const auto made = together(contents.ranks, [&] {
    if (!first) return json();
    pending.emplace(folder, Existing::kReplace);
    return json(pending->temporary().string());
  });
  const fs::path temporary = made[0].get<std::string>();
  const auto written = together(contents.ranks, [&] { return write_shards(temporary, contents); });
  together(contents.ranks, [&] {
    if (!first) return json();
    write_text(temporary / "config.toml", contents.config);
    json files = {{"config.toml", describe_file(temporary / "config.toml")}};
    for (const json& of_rank : written) files.update(of_rank);
    write_state(temporary, contents, files);
    pending->commit();
    remove_unneeded(run, keep);
    return json();
  });
  return folder;
}

}  // namespace moga
