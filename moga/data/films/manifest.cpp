// JSON lines between the stages. See manifest.h.
#include "moga/data/films/manifest.h"

#include <algorithm>
#include <iterator>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/checksum.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/json_text.h"

namespace fs = std::filesystem;

namespace moga {

namespace {

bool same_bytes(const fs::path& a, const fs::path& b) {
  if (fs::file_size(a) != fs::file_size(b)) return false;
  std::ifstream first(a, std::ios::binary), second(b, std::ios::binary);
  using Bytes = std::istreambuf_iterator<char>;
  return std::equal(Bytes(first), Bytes(), Bytes(second));
}

}  // namespace

std::vector<Record> read_records(const fs::path& path) {
  std::istringstream text(read_text(path));
  std::vector<Record> records;
  std::string line;
  for (int64_t number = 1; std::getline(text, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      records.push_back(Record::parse(line));
    } catch (const nlohmann::json::exception& error) {
      fail(path.string(), ":", number, ": not a line of JSON: ", reason(error));
    }
    check(records.back().is_object(), path.string(), ":", number, ": is a JSON ", records.back().type_name(),
          ", expected an object");
  }
  return records;
}

std::string to_lines(const std::vector<Record>& records) {
  std::string text;
  for (const Record& record : records) text += record.dump() + "\n";
  return text;
}

Manifest::Manifest(const fs::path& folder, const std::string& name, std::string settings)
    : path_(folder / (name + ".jsonl")), partial_(folder / (name + ".jsonl.partial")), settings_(std::move(settings)) {
  make_folder(folder);
  read_earlier();
  out_.open(partial_, std::ios::app);
  check(out_.good(), partial_.string(), ": cannot be written");
}

void Manifest::read_earlier() {
  if (fs::exists(path_))
    for (const Record& record : read_records(path_)) earlier_[record.value("from", "")].push_back(record);
  if (!fs::exists(partial_)) return;
  std::istringstream text(read_text(partial_));
  std::string line, whole;
  while (std::getline(text, line)) {
    const Record group = Record::parse(line, nullptr, /*allow_exceptions=*/false);
    if (group.is_discarded()) continue;  // the line that a kill cut short
    earlier_[group.at("from")] = group.at("records").get<std::vector<Record>>();
    whole += line + "\n";
  }
  write_text(partial_, whole);
}

std::string Manifest::origin_of(const std::string& input) const {
  Checksum checksum;
  checksum.add(settings_);
  checksum.add(input);
  return checksum.text();
}

const std::vector<Record>& Manifest::group(const std::string& input, const std::function<std::vector<Record>()>& make) {
  stop_if_interrupted();
  const std::string from = origin_of(input);
  if (const auto found = earlier_.find(from); found != earlier_.end()) {
    ++kept_;
    groups_.push_back(found->second);
    return groups_.back();
  }
  std::vector<Record> records = make();
  for (Record& record : records) record["from"] = from;
  out_ << Record{{"from", from}, {"records", records}}.dump() << "\n" << std::flush;
  ++made_;
  groups_.push_back(std::move(records));
  return groups_.back();
}

std::vector<Record> Manifest::records() const {
  std::vector<Record> all;
  for (const auto& group : groups_) all.insert(all.end(), group.begin(), group.end());
  return all;
}

std::vector<Record> Manifest::finish() {
  PendingFile next(path_);
  std::ofstream lines(next.temporary(), std::ios::binary);
  std::vector<Record> all;
  for (std::vector<Record>& group : groups_)
    for (Record& record : group) {
      lines << record.dump() << '\n';
      all.push_back(std::move(record));
    }
  lines.close();
  check(lines.good(), path_.string(), ": cannot be written");
  if (fs::exists(path_) && !same_bytes(path_, next.temporary()))
    write_atomically(fs::path(path_).replace_extension(".old.jsonl"), [&](const fs::path& temporary) {
      fs::copy_file(path_, temporary, fs::copy_options::overwrite_existing);
    });
  next.commit();
  groups_.clear();
  out_.close();
  fs::remove(partial_);
  return all;
}

}  // namespace moga
