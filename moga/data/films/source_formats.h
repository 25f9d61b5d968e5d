// Private to moga/data/films: the readers behind sources.h.
#pragma once

#include <nlohmann/json.hpp>

#include <set>

#include "moga/data/films/sources.h"

namespace moga {

using SourceItem = nlohmann::ordered_json;

// Collects sources and what their list says besides.
class SourceReader {
 public:
  explicit SourceReader(std::filesystem::path base) : base_(std::move(base)) {}
  // An object of a list; `where` names it in problems ("list.json: entry 3").
  void add_item(const SourceItem& item, const std::string& where);
  // All films in a folder and below, in order of their names, with captions next to them.
  void add_folder(const std::filesystem::path& folder, const std::string& caption_extension);
  void note(const std::string& text) { list_.notes.push_back(text); }
  void not_used(const std::string& key) { unused_.insert(key); }
  SourceList finish(const std::string& name);

 private:
  void add_sequence(const SourceItem& item, const std::string& where);
  void add(Source source, const std::string& listed);

  std::filesystem::path base_;
  SourceList list_;
  std::set<std::string> unused_;
};

void read_json_list(const std::filesystem::path& path, SourceReader& reader);
void read_json_lines(const std::filesystem::path& path, SourceReader& reader);
void read_csv(const std::filesystem::path& path, SourceReader& reader);
void read_toml(const std::filesystem::path& path, SourceReader& reader);

// RFC 4180: rows of fields, quoted ones with line breaks and doubled quotes.
std::vector<std::vector<std::string>> parse_csv(const std::string& text);

}  // namespace moga
