// Reads safetensors. The header is checked against the file's actual size when it is opened, so load() only copies. A
// damaged download, a renamed pickle or a malicious header ends in one line, never in a crash.
#include "moga/core/safetensors.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/core/mapped_file.h"
#include "moga/core/safetensors_format.h"

namespace moga {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian and is copied as it is");

struct Entry {
  c10::ScalarType dtype = c10::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes from the start of the data
  uint64_t end = 0;
  std::shared_ptr<const MappedFile> file;
  const char* data = nullptr;
};
using Entries = std::map<std::string, Entry>;
using Metadata = std::map<std::string, std::string>;

std::string text_of(const std::vector<int64_t>& shape) { return json(shape).dump(); }

c10::ScalarType dtype_of(const json& tensor, const std::string& where) {
  const auto value = tensor.find("dtype");
  check(value != tensor.end() && value->is_string(), where, ": dtype is missing or not a string");
  const std::string name = value->get<std::string>();
  for (const auto& known : safetensors_format::kDtypes) {
    if (known.name == name) return known.dtype;
  }
  fail(where, ": dtype ", quoted(name), " is unknown");
}

std::vector<uint64_t> naturals(const json& tensor, const char* key, const std::string& where) {
  const auto value = tensor.find(key);
  check(value != tensor.end() && value->is_array(), where, ": ", key, " is missing or not a list");
  std::vector<uint64_t> numbers;
  for (const json& number : *value) {
    check(number.is_number_unsigned(), where, ": ", key, " must contain non-negative whole numbers, found ",
          number.dump());
    numbers.push_back(number.get<uint64_t>());
    check(numbers.back() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()), where, ": ", key, " holds ",
          numbers.back(), ", which is too large");
  }
  return numbers;
}

Entry parse_entry(const json& tensor, uint64_t data_bytes, const std::string& where) {
  check(tensor.is_object(), where, ": expected a JSON object, found ", tensor.type_name());
  Entry entry;
  entry.dtype = dtype_of(tensor, where);
  uint64_t bytes = 1;
  bool overflow = false;
  for (const uint64_t length : naturals(tensor, "shape", where)) {
    overflow |= __builtin_mul_overflow(bytes, length, &bytes);
    entry.shape.push_back(static_cast<int64_t>(length));
  }
  overflow |= __builtin_mul_overflow(bytes, c10::elementSize(entry.dtype), &bytes);
  const std::vector<uint64_t> offsets = naturals(tensor, "data_offsets", where);
  check(offsets.size() == 2, where, ": data_offsets must have 2 numbers, found ", offsets.size());
  entry.begin = offsets[0];
  entry.end = offsets[1];
  check(entry.begin <= entry.end, where, ": data_offsets [", entry.begin, ", ", entry.end, "] run backwards");
  check(entry.end <= data_bytes, where, ": data_offsets [", entry.begin, ", ", entry.end,
        "] leave the file, whose data has ", data_bytes, " bytes; is it truncated?");
  check(!overflow, where, ": shape ", text_of(entry.shape), " is too large");
  check(bytes == entry.end - entry.begin, where, ": shape ", text_of(entry.shape), " of ",
        tensor["dtype"].get<std::string>(), " takes ", bytes, " bytes, found ", entry.end - entry.begin);
  return entry;
}

// The tensors cover the data exactly, one after the other, as the format's own reader demands: what a header does not
// describe would be lost, or is a sign of damage.
void check_cover(const Entries& entries, uint64_t data_bytes, const std::string& file) {
  std::vector<Entries::const_iterator> order;
  for (auto entry = entries.begin(); entry != entries.end(); ++entry) order.push_back(entry);
  std::ranges::sort(order, {}, [](const auto& entry) { return std::pair(entry->second.begin, entry->second.end); });
  uint64_t end = 0;
  std::string before = "the header";
  for (const auto& entry : order) {
    if (entry->second.begin < end)
      fail(file, ": tensors ", before, " and ", quoted(entry->first), " overlap at byte ", entry->second.begin,
           " of the data");
    if (entry->second.begin > end)
      fail(file, ": bytes ", end, " to ", entry->second.begin, " of the data, after ", before, ", belong to no tensor");
    end = entry->second.end;
    before = quoted(entry->first);
  }
  check(end == data_bytes, file, ": the last ", data_bytes - end, " of ", data_bytes,
        " bytes of the data belong to no tensor");
}

Metadata parse_metadata(const json& object, const std::string& file) {
  if (object.is_null()) return {};
  check(object.is_object(), file, ": __metadata__ must be a JSON object, found ", object.type_name());
  Metadata metadata;
  for (const auto& [key, value] : object.items()) {
    check(value.is_string(), file, ": __metadata__ ", quoted(key), " must be a string, found ", value.type_name());
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// The header as text; says what the file is when it is something else that often has such a name.
std::string_view header_of(const MappedFile& mapped, const std::string& file) {
  const std::string_view all(mapped.data(), mapped.size());
  // A pickle may begin with the bytes of a header's length (640 is 80 02), but no header follows.
  const bool header_follows = all.substr(std::min(all.size(), safetensors_format::kLengthBytes)).starts_with('{');
  check(header_follows || (!all.starts_with("PK\x03\x04") && !all.starts_with("\x80\x02")), file,
        ": is a PyTorch pickle; only safetensors are read, convert it first");
  check(!all.starts_with("GGUF"), file, ": is a GGUF file; only safetensors are read");
  check(!all.starts_with("version https://git-lfs"), file,
        ": is a Git LFS pointer, not the file itself; run git lfs pull");
  check(all.size() >= safetensors_format::kLengthBytes, file, ": has ", all.size(), " bytes, too few for a header");
  uint64_t length = 0;
  std::memcpy(&length, all.data(), sizeof length);
  check(length <= safetensors_format::kMostHeaderBytes, file, ": header length ", length,
        " is beyond the format's limit; is this a safetensors file?");
  const uint64_t room = all.size() - safetensors_format::kLengthBytes;
  check(length <= room, file, ": header length ", length, " exceeds the ", room,
        " bytes that follow; is it truncated?");
  return all.substr(safetensors_format::kLengthBytes, length);
}

// Adds the tensors of one file.
void read_file(const fs::path& path, Entries& entries, Metadata& metadata) {
  const std::string file = path.string();
  const auto mapped = std::make_shared<const MappedFile>(path);
  const std::string_view header = header_of(*mapped, file);
  const char* data = header.data() + header.size();
  const auto data_bytes = static_cast<uint64_t>(mapped->data() + mapped->size() - data);
  const json tensors = parse_json_object(header, file + ": header");
  for (const auto& [name, value] : tensors.items()) {
    if (name == safetensors_format::kMetadataKey) {
      metadata = parse_metadata(value, file);
      continue;
    }
    Entry entry = parse_entry(value, data_bytes, file + ": tensor " + quoted(name));
    entry.file = mapped;
    entry.data = data + entry.begin;
    entries[name] = std::move(entry);
  }
  check_cover(entries, data_bytes, file);
}

// The files of a sharded model, each with the tensors that the index assigns to it.
void read_index(const fs::path& path, Entries& entries, Metadata& metadata) {
  const std::string text = read_text(path, safetensors_format::kMostHeaderBytes);
  const json index = parse_json_object(text, path.string());
  const auto weight_map = index.find("weight_map");
  check(weight_map != index.end() && weight_map->is_object(), path.string(),
        ": weight_map is missing or not an object");
  std::map<std::string, Entries> files;
  for (const auto& [name, value] : weight_map->items()) {
    const std::string where = path.string() + ": tensor " + quoted(name);
    check(value.is_string(), where, ": expected a file name, found ", value.type_name());
    const std::string file = value.get<std::string>();
    check(!file.empty() && fs::path(file).filename() == file && file != "..", where,
          ": expected a file next to the index, found ", quoted(file));
    if (!files.contains(file)) {
      check(fs::exists(path.parent_path() / file), where, " is in ", quoted(file), ", which is missing");
      Metadata of_file;
      read_file(path.parent_path() / file, files[file], of_file);
      metadata.merge(of_file);
    }
    const auto entry = files[file].find(name);
    check(entry != files[file].end(), where, " is not in ", quoted(file), " as the index says");
    entries[name] = entry->second;
  }
}

bool is_index(const fs::path& path) { return path.string().ends_with(".index.json"); }

// The only index in a folder, or otherwise its only .safetensors file.
fs::path find_in(const fs::path& folder) {
  std::vector<std::string> indexes, files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".safetensors.index.json")) indexes.push_back(name);
    if (name.ends_with(".safetensors")) files.push_back(name);
  }
  std::vector<std::string>& found = indexes.empty() ? files : indexes;
  check(!found.empty(), folder.string(), ": contains no .safetensors file");
  std::ranges::sort(found);
  if (found.size() > 1)
    fail(folder.string(), ": holds ", found.size(), indexes.empty() ? " .safetensors files and no index" : " indexes",
         ", expected one file, or shards with a .safetensors.index.json: ", found[0], ", ", found[1],
         found.size() > 2 ? ", …" : "");
  return folder / found[0];
}

}  // namespace

struct Safetensors::Files {
  std::string source;
  Entries entries;
  Metadata metadata;

  const Entry& at(const std::string& name) const {
    const auto entry = entries.find(name);
    check(entry != entries.end(), source, ": has no tensor ", quoted(name));
    return entry->second;
  }
};

Safetensors::Safetensors(const fs::path& path) {
  std::error_code ignored;
  const fs::path file = fs::is_directory(path, ignored) ? find_in(path) : path;
  auto files = std::make_shared<Files>();
  files->source = file.string();
  if (is_index(file))
    read_index(file, files->entries, files->metadata);
  else
    read_file(file, files->entries, files->metadata);
  files_ = std::move(files);
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : files_->entries) names.push_back(name);
  return names;
}

const std::string& Safetensors::source() const { return files_->source; }
bool Safetensors::contains(const std::string& name) const { return files_->entries.contains(name); }
std::vector<int64_t> Safetensors::shape(const std::string& name) const { return files_->at(name).shape; }
c10::ScalarType Safetensors::dtype(const std::string& name) const { return files_->at(name).dtype; }
Metadata Safetensors::metadata() const { return files_->metadata; }

at::Tensor Safetensors::load(const std::string& name, c10::Device device) const {
  const Entry& entry = files_->at(name);
  const at::TensorOptions options = at::TensorOptions().dtype(entry.dtype);
  if (entry.begin == entry.end) return at::empty(entry.shape, options.device(device));
  at::Tensor tensor = at::empty(entry.shape, options.device(device));
  if (device.is_cpu())
    std::memcpy(tensor.mutable_data_ptr(), entry.data, entry.end - entry.begin);
  else  // from_blob is a view of the mapping; the copy reads it
    tensor.copy_(at::from_blob(const_cast<char*>(entry.data), entry.shape, options));
  entry.file->release(entry.data, entry.data + (entry.end - entry.begin));
  return tensor;
}

TensorMap Safetensors::load_all(c10::Device device) const {
  TensorMap tensors;
  for (const auto& [name, entry] : files_->entries) tensors[name] = load(name, device);
  return tensors;
}

}  // namespace moga
