// The log of a training run, log.jsonl, as `moga plot` reads it.
//
// A run that was resumed has lines of train steps that it took twice: the later ones count. A line that is not JSON
// (the end of a file whose writer was killed) is left out and counted.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace moga {

struct RunLog {
  std::string name;
  std::vector<nlohmann::json> lines;  // objects with a "step", which never falls
  int64_t damaged = 0;                // lines that were left out
};

// `run`: the folder of a run, or its log.jsonl. Throws one line when there is none or it has no line that can be read.
RunLog read_run_log(const std::filesystem::path& run);

// Names that tell runs apart: that of the folder, or as much of the path as is needed.
void name_apart(std::vector<RunLog>& logs, const std::vector<std::filesystem::path>& runs);

}  // namespace moga
