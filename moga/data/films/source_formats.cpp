// Lists of films as JSON, JSON lines, CSV and TOML. See sources.h.
#include "moga/data/films/source_formats.h"

#include <sstream>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

using config_detail::Node;

std::string entry_name(const fs::path& path, size_t index) {
  return path.filename().string() + ": entry " + std::to_string(index);
}

const Node* member(const Node& table, const std::string& key) {
  for (const auto& [name, node] : table.members)
    if (name == key) return &node;
  return nullptr;
}

fs::path under(const fs::path& base, const std::string& key, const std::string& text) {
  check(!text.empty(), key, " is empty or not a string");
  return fs::path(text).is_absolute() ? fs::path(text) : base / text;
}

// One [[datasets]] or [[directory]] table.
void read_dataset(const Node& table, const fs::path& base, const std::string& extension, SourceReader& reader) {
  std::string captions = extension;
  if (const Node* node = member(table, "caption_extension")) captions = node->text;
  bool any = false;
  for (const auto& [key, node] : table.members) {
    const bool folder = key == "video_directory" || key == "path", lines = key == "video_jsonl_file";
    const bool images = key == "image_directory" || key == "image_jsonl_file";
    any = any || folder || lines || images;
    try {
      if (folder) reader.add_folder(under(base, key, node.text), captions);
      if (lines) read_json_lines(under(base, key, node.text), reader);
    } catch (const Error& error) {  // the other data sets are read
      reader.note(error.what());
    }
    if (images) reader.note(key + " " + node.text + ": images are not read");
    if (!folder && !lines && !images && key != "caption_extension") reader.not_used(key);
  }
  if (!any) reader.note("a data set names neither video_directory nor video_jsonl_file nor path");
}

}  // namespace

void read_json_list(const fs::path& path, SourceReader& reader) {
  SourceItem list;
  try {
    list = SourceItem::parse(read_text(path));
  } catch (const nlohmann::json::exception& error) {
    fail(path.string(), ": not JSON: ", reason(error));
  }
  if (list.is_object() && list.size() == 1 && list.begin()->is_array()) list = SourceItem(*list.begin());
  if (list.is_object()) {  // {"film.mp4": "caption", …}
    for (const auto& [file, captions] : list.items()) reader.add_item({{"path", file}, {"cap", captions}}, file);
    return;
  }
  check(list.is_array(), path.string(), ": is a JSON ", list.type_name(), ", expected a list of films");
  for (size_t i = 0; i < list.size(); ++i) reader.add_item(list[i], entry_name(path, i));
}

void read_json_lines(const fs::path& path, SourceReader& reader) {
  std::istringstream text(read_text(path));
  std::string line;
  for (size_t number = 1; std::getline(text, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const SourceItem item = SourceItem::parse(line, nullptr, /*allow_exceptions=*/false);
    const std::string where = path.filename().string() + ":" + std::to_string(number);
    reader.add_item(item.is_discarded() ? SourceItem("not JSON") : item, where);
  }
}

std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, {""});
  bool quoted = false;
  for (size_t i = text.starts_with("\xef\xbb\xbf") ? 3 : 0; i < text.size(); ++i) {
    std::string& field = rows.back().back();
    if (text[i] == '"' && quoted && i + 1 < text.size() && text[i + 1] == '"') {
      field += text[++i];
    } else if (text[i] == '"' && (quoted || field.empty())) {
      quoted = !quoted;
    } else if (text[i] == ',' && !quoted) {
      rows.back().emplace_back();
    } else if (text[i] == '\n' && !quoted) {
      if (!field.empty() && field.back() == '\r') field.pop_back();
      rows.push_back({""});
    } else {
      field += text[i];
    }
  }
  std::erase_if(rows, [](const auto& row) { return row.size() == 1 && row[0].empty(); });
  return rows;
}

void read_csv(const fs::path& path, SourceReader& reader) {
  const auto rows = parse_csv(read_text(path));
  check(!rows.empty(), path.string(), ": is empty, expected a header with video and prompt");
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::string where = path.filename().string() + ": row " + std::to_string(i);
    if (rows[i].size() != rows[0].size()) {
      reader.add_item("has " + std::to_string(rows[i].size()) + " fields", where);
      continue;
    }
    SourceItem item = SourceItem::object();
    for (size_t column = 0; column < rows[0].size(); ++column) item[rows[0][column]] = rows[i][column];
    reader.add_item(item, where);
  }
}

void read_toml(const fs::path& path, SourceReader& reader) {
  const Node tree = config_detail::toml_tree(config_detail::read_config_text(path), path.string());
  std::string extension = ".txt";
  if (const Node* general = member(tree, "general")) {
    for (const auto& [key, node] : general->members) {
      if (key == "caption_extension")
        extension = node.text;
      else
        reader.not_used(key);
    }
  }
  bool any = false;
  for (const auto& [key, node] : tree.members) {
    if (key == "datasets" || key == "directory") {
      for (const Node& table : node.items) read_dataset(table, path.parent_path(), extension, reader);
      any = true;
    } else if (key != "general") {
      reader.not_used(key);
    }
  }
  check(any, path.string(), ": has neither [[datasets]] (musubi-tuner) nor [[directory]] (diffusion-pipe)");
}

}  // namespace moga
