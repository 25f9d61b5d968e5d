// Writes safetensors: the header, then one tensor after another, using memory for one tensor. Offsets have no holes,
// which other readers require, and the widest dtype comes first, so that readers can view the data in place.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"
#include "moga/core/safetensors.h"
#include "moga/core/safetensors_format.h"

namespace moga {
namespace {

using nlohmann::json;
using Item = TensorMap::const_pointer;

std::string_view dtype_name_of(const Item& item, const std::string& file) {
  for (const auto& known : safetensors_format::kDtypes) {
    if (known.dtype == item->second.scalar_type()) return known.name;
  }
  fail(file, ": tensor ", item->first, " has dtype ", item->second.scalar_type(),
       ", which safetensors does not support");
}

std::vector<Item> in_file_order(const TensorMap& tensors, const std::string& file) {
  std::vector<Item> items;
  for (const auto& item : tensors) {
    check(item.first != safetensors_format::kMetadataKey, file, ": no tensor can have the name ", item.first);
    check(item.second.defined(), file, ": tensor ", item.first, " is undefined, expected a dense tensor");
    check(item.second.layout() == at::kStrided, file, ": tensor ", item.first, " has layout ", item.second.layout(),
          ", expected a dense tensor");
    items.push_back(&item);
  }
  std::ranges::stable_sort(items, std::ranges::greater(), [](Item item) { return item->second.element_size(); });
  return items;
}

std::string header_text(const std::vector<Item>& items, const std::map<std::string, std::string>& metadata,
                        const std::string& file) {
  json header = json::object();
  if (!metadata.empty()) header[std::string(safetensors_format::kMetadataKey)] = metadata;
  uint64_t end = 0;
  for (const Item& item : items) {
    const uint64_t begin = end;
    end += item->second.nbytes();
    header[item->first] = {
        {"dtype", dtype_name_of(item, file)}, {"shape", item->second.sizes().vec()}, {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {
    fail(file, ": a name or the metadata is not UTF-8: ", reason(error));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data starts 8-byte aligned
  return text;
}

void write_all(std::ofstream& out, const void* data, uint64_t bytes, const std::string& file) {
  out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  check(out.good(), file, ": cannot be written: ", std::strerror(errno));
}

}  // namespace

void save_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                      const std::map<std::string, std::string>& metadata) {
  const std::string file = path.string();
  const std::vector<Item> items = in_file_order(tensors, file);
  const std::string header = header_text(items, metadata, file);
  write_atomically(path, [&](const std::filesystem::path& temporary) {
    std::ofstream out(temporary, std::ios::binary);
    const uint64_t length = header.size();
    write_all(out, &length, sizeof length, file);
    write_all(out, header.data(), header.size(), file);
    for (const Item& item : items) {
      const at::Tensor bytes = item->second.detach().resolve_conj().resolve_neg().cpu().contiguous();
      if (bytes.nbytes() > 0) write_all(out, bytes.const_data_ptr(), bytes.nbytes(), file);
    }
    out.close();
    check(out.good(), file, ": cannot be written: ", std::strerror(errno));
  });
}

}  // namespace moga
