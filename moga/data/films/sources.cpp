// Lists and folders of films. See sources.h.
#include "moga/data/films/sources.h"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/data/films/source_formats.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

constexpr const char* kFilms[] = {".mp4", ".mkv",  ".webm", ".mov", ".avi", ".m4v", ".ts",  ".mts", ".m2ts",
                                  ".mpg", ".mpeg", ".flv",  ".wmv", ".y4m", ".gif", ".ogv", ".3gp", ".mxf"};
constexpr const char* kPathKeys[] = {"video_path", "video", "path",       "file_name",
                                     "filename",   "file",  "video_file", "media_path"};
constexpr const char* kCaptionKeys[] = {"shot_captions", "cap_list", "caption", "captions", "cap", "prompt", "text"};
constexpr const char* kOtherKeys[] = {"global_caption", "shot_cut_frames", "shots", "inner_t"};

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool is_film(const fs::path& path) {
  const std::string extension = lower(path.extension().string());
  return std::any_of(std::begin(kFilms), std::end(kFilms), [&](const char* film) { return extension == film; });
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n"), end = text.find_last_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

bool is_utf8(const std::string& text) {
  try {
    nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

std::string text_of(const SourceItem& value, const std::string& key) {
  check(value.is_string(), key, " is a JSON ", value.type_name(), ", expected a string");
  return trimmed(value.get<std::string>());
}

std::vector<std::string> texts_of(const SourceItem& value, const std::string& key) {
  std::vector<std::string> texts;
  if (!value.is_array()) return {text_of(value, key)};
  for (const SourceItem& item : value) texts.push_back(text_of(item, key));
  return texts;
}

std::vector<int64_t> numbers_of(const SourceItem& value, const std::string& key) {
  std::vector<int64_t> numbers;
  check(value.is_array(), key, " is a JSON ", value.type_name(), ", expected a list of whole numbers");
  for (const SourceItem& item : value) {
    check(item.is_number_integer(), key, " holds a JSON ", item.type_name(), ", expected whole numbers");
    numbers.push_back(item.get<int64_t>());
  }
  return numbers;
}

template <size_t N>
const char* first_key(const SourceItem& item, const char* const (&keys)[N]) {
  for (const char* key : keys)
    if (item.contains(key)) return key;
  return nullptr;
}

bool is_known(const std::string& key, const char* path_key, const char* caption_key) {
  return (path_key && key == path_key) || (caption_key && key == caption_key) ||
         std::any_of(std::begin(kOtherKeys), std::end(kOtherKeys), [&](const char* known) { return key == known; });
}

fs::path resolved(const fs::path& base, const std::string& listed) {
  const fs::path path(listed);
  if (path.is_absolute()) return path;
  for (const char* folder : {"", "videos", "video", "media"})
    if (const fs::path found = base / folder / path; fs::exists(found)) return found;
  return base / path;
}

SourceFormat format_of(const fs::path& input) {
  if (fs::is_directory(input)) return SourceFormat::kFolder;
  const std::string extension = lower(input.extension().string());
  if (extension == ".json") return SourceFormat::kJson;
  if (extension == ".jsonl") return SourceFormat::kJsonLines;
  if (extension == ".csv") return SourceFormat::kCsv;
  if (extension == ".toml") return SourceFormat::kToml;
  if (extension == ".txt") return SourceFormat::kMerge;
  fail(input.string(), ": expected a folder of films, or a list: .json, .jsonl, .csv, .toml, .txt (folder,list)");
}

SourceList read_merge(const fs::path& path) {
  std::istringstream text(read_text(path, kMostConfigBytes));
  SourceList all;
  std::string line;
  while (std::getline(text, line)) {
    if (trimmed(line).empty()) continue;
    const size_t comma = line.find(',');
    check(comma != std::string::npos, path.string(), ": '", printable(line), "', expected folder,list.json");
    const auto absolute = [&](const std::string& part) { return fs::path(path).parent_path() / trimmed(part); };
    SourceReader reader(absolute(line.substr(0, comma)));
    const fs::path list = absolute(line.substr(comma + 1, line.find(',', comma + 1) - comma - 1));
    read_json_list(list, reader);
    SourceList part = reader.finish(list.string());
    all.sources.insert(all.sources.end(), part.sources.begin(), part.sources.end());
    all.notes.insert(all.notes.end(), part.notes.begin(), part.notes.end());
  }
  return all;
}

}  // namespace

void SourceReader::add(Source source, const std::string& listed) {
  std::error_code ignored;
  if (!is_utf8(source.path.string())) {
    source.problem = "its name is not UTF-8";
    source.path = printable(source.path.string());
  } else if (source.problem.empty() && !fs::exists(source.path, ignored)) {
    source.problem = listed + ": no such file";
  }
  for (std::string& caption : source.captions)
    if (!is_utf8(caption)) {
      source.problem = "its caption is not UTF-8";
      caption.clear();
    }
  list_.sources.push_back(std::move(source));
}

void SourceReader::add_item(const SourceItem& item, const std::string& where) {
  Source source;
  const char* path_key = nullptr;
  try {
    check(item.is_object(), "is a JSON ", item.type_name(), ", expected an object");
    if (item.contains("shots") && item.contains("cap_list")) return add_sequence(item, where);
    path_key = first_key(item, kPathKeys);
    check(path_key, "names no file, expected one of video_path, video, path, file_name");
    source.path = resolved(base_, text_of(item.at(path_key), path_key));
    const char* caption_key = first_key(item, kCaptionKeys);
    if (caption_key) source.captions = texts_of(item.at(caption_key), caption_key);
    if (source.captions == std::vector<std::string>{""}) source.captions.clear();
    if (item.contains("global_caption")) source.global_caption = text_of(item.at("global_caption"), "global_caption");
    if (item.contains("shot_cut_frames")) source.cuts = numbers_of(item.at("shot_cut_frames"), "shot_cut_frames");
    check(source.cuts.empty() || source.captions.size() <= 1 || source.captions.size() == source.cuts.size() + 1,
          "has ", source.captions.size(), " captions and ", source.cuts.size(), " cuts, expected one caption per shot");
    for (const auto& [key, value] : item.items())
      if (!is_known(key, path_key, caption_key)) not_used(key);
  } catch (const Error& error) {
    source.problem = where + " " + error.what();
    if (source.path.empty()) source.path = where;
  }
  add(source, path_key && item.at(path_key).is_string() ? item.at(path_key).get<std::string>() : where);
}

// EchoShot: one sample of several files, each a shot with its caption and its number of latent frames.
void SourceReader::add_sequence(const SourceItem& item, const std::string& where) {
  const std::vector<std::string> files = texts_of(item.at("shots"), "shots"),
                                 captions = texts_of(item.at("cap_list"), "cap_list");
  const std::vector<int64_t> frames =
      item.contains("inner_t") ? numbers_of(item.at("inner_t"), "inner_t") : std::vector<int64_t>(files.size(), 0);
  check(captions.size() == files.size() && frames.size() == files.size(), "has ", files.size(), " shots, ",
        captions.size(), " captions (cap_list) and ", frames.size(),
        " lengths (inner_t), expected one of each per shot");
  for (size_t i = 0; i < files.size(); ++i) {
    Source source;
    source.path = resolved(base_, files[i]);
    source.captions = {captions[i]};
    source.one_shot = true;
    source.sequence = where;
    source.latent_frames = frames[i];
    add(std::move(source), files[i]);
  }
}

void SourceReader::add_folder(const fs::path& folder, const std::string& caption_extension) {
  check(fs::is_directory(folder), folder.string(), ": no such folder");
  std::vector<fs::path> films;
  int64_t others = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied)) {
    if (entry.is_directory()) continue;
    if (is_film(entry.path()))
      films.push_back(entry.path());
    else if (entry.path().extension() != caption_extension)
      ++others;
  }
  std::sort(films.begin(), films.end());
  if (others > 0) note(folder.string() + ": " + std::to_string(others) + " files are neither films nor captions");
  for (const fs::path& film : films) {
    Source source;
    source.path = film;
    const fs::path caption = fs::path(film).replace_extension(caption_extension);
    if (std::error_code ignored; fs::is_regular_file(caption, ignored))
      if (const std::string text = trimmed(read_text(caption, kMostConfigBytes)); !text.empty())
        source.captions = {text};
    add(source, film.string());
  }
}

SourceList SourceReader::finish(const std::string& name) {
  if (!unused_.empty()) {
    std::string keys;
    for (const std::string& key : unused_) keys += (keys.empty() ? "" : ", ") + key;
    note(name + ": not used: " + keys);
  }
  return std::move(list_);
}

SourceList read_sources(const fs::path& input, SourceFormat format) {
  check(fs::exists(input), input.string(), ": no such file or folder");
  if (format == SourceFormat::kAuto) format = format_of(input);
  if (format == SourceFormat::kMerge) return read_merge(input);
  SourceReader reader(format == SourceFormat::kFolder ? input : input.parent_path());
  if (format == SourceFormat::kFolder) reader.add_folder(input, ".txt");
  if (format == SourceFormat::kJson) read_json_list(input, reader);
  if (format == SourceFormat::kJsonLines) read_json_lines(input, reader);
  if (format == SourceFormat::kCsv) read_csv(input, reader);
  if (format == SourceFormat::kToml) read_toml(input, reader);
  SourceList list = reader.finish(input.string());
  check(!list.sources.empty(), input.string(), ": names no films");
  return list;
}

}  // namespace moga
