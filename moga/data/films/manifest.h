// Manifests: one file of JSON lines per stage, which a person may read and edit.
//
// A stage makes one group of lines from each unit of its input (a file, a film, a list of shots). Each line's "from" is
// a checksum of what the group was made from: the settings and the input lines. A later run keeps the groups whose
// "from" is still right, lines edited by hand included, and makes the others again. Groups go to NAME.jsonl.partial as
// they are made, so that a killed run continues, and NAME.jsonl is written whole at the end: the same bytes whether the
// stage was interrupted or not. A line with "dropped" goes no further; its text says why.
#pragma once

#include <nlohmann/json.hpp>

#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace moga {

using Record = nlohmann::ordered_json;

// Throws one line with the file and the line's number.
std::vector<Record> read_records(const std::filesystem::path& path);
std::string to_lines(const std::vector<Record>& records);

inline bool is_dropped(const Record& record) { return record.contains("dropped"); }

class Manifest {
 public:
  // `settings`: the stage's own, as text.
  Manifest(const std::filesystem::path& folder, const std::string& name, std::string settings);

  // The group made from `input`: kept from an earlier run, or made now. Throws Interrupted between two groups.
  const std::vector<Record>& group(const std::string& input, const std::function<std::vector<Record>()>& make);
  // Whether that group is kept from an earlier run.
  bool has(const std::string& input) const { return earlier_.contains(origin_of(input)); }
  // All lines so far.
  std::vector<Record> records() const;
  // Writes NAME.jsonl and returns all its lines. May be called only once: it moves the records out. A manifest that it
  // replaces and that differs is kept as NAME.old.jsonl.
  std::vector<Record> finish();

  int64_t kept() const { return kept_; }
  int64_t made() const { return made_; }

 private:
  void read_earlier();
  std::string origin_of(const std::string& input) const;

  std::filesystem::path path_, partial_;
  std::string settings_;
  std::map<std::string, std::vector<Record>> earlier_;
  std::deque<std::vector<Record>> groups_;
  std::ofstream out_;
  int64_t kept_ = 0, made_ = 0;
};

}  // namespace moga
