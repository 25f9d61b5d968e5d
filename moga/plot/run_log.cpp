// See run_log.h.
#include "moga/plot/run_log.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/files.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& run) {
  const fs::path path = fs::is_directory(run) ? run : run.parent_path();
  return fs::absolute(path / ".").lexically_normal().parent_path();
}

std::string ending(const fs::path& folder, size_t parts) {
  fs::path name;
  for (auto part = folder.end(); parts > 0 && part != folder.begin(); --parts) {
    --part;
    name = name.empty() ? *part : *part / name;
  }
  return name.string();
}

}  // namespace

RunLog read_run_log(const fs::path& run) {
  const fs::path file = fs::is_directory(run) ? run / "log.jsonl" : run;
  check(fs::exists(file), run.string(),
        fs::is_directory(run) ? ": no log.jsonl in it, expected the folder of a training run" : ": no such run");
  RunLog log;
  log.name = ending(folder_of(run), 1);
  std::istringstream text(read_text(file));
  for (std::string line; std::getline(text, line);) {
    if (line.empty()) continue;
    nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) {
      ++log.damaged;
      continue;
    }
    const auto step = json["step"].get<int64_t>();
    // Resumed: the lines from this step on were of steps that are taken again.
    if (!log.lines.empty() && step < log.lines.back()["step"].get<int64_t>())
      while (!log.lines.empty() && log.lines.back()["step"].get<int64_t>() >= step) log.lines.pop_back();
    log.lines.push_back(std::move(json));
  }
  check(!log.lines.empty(), file.string(), ": holds no line of a training run");
  return log;
}

void name_apart(std::vector<RunLog>& logs, const std::vector<fs::path>& runs) {
  constexpr size_t kMostParts = 32;
  for (size_t parts = 1; parts < kMostParts; ++parts) {
    std::set<std::string> names;
    for (size_t i = 0; i < logs.size(); ++i) names.insert(logs[i].name = ending(folder_of(runs[i]), parts));
    if (names.size() == logs.size()) return;
  }
}

}  // namespace moga
