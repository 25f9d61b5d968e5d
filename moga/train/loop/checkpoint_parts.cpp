// See checkpoint_parts.h.
#include "moga/train/loop/checkpoint_parts.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <regex>

#include "moga/core/check.h"
#include "moga/core/device.h"

namespace moga {
namespace {

constexpr const char* kPieces = "pieces";  // of the metadata

int64_t count_of(const std::vector<int64_t>& shape) { return c10::multiply_integers(shape); }

}  // namespace

std::string shard_file_name(const std::string& part, int64_t rank, int64_t ranks) {
  char numbers[48];
  std::snprintf(numbers, sizeof numbers, "-%05lld-of-%05lld.safetensors", static_cast<long long>(rank) + 1,
                static_cast<long long>(ranks));
  return part + numbers;
}

bool is_file_of_part(const std::string& file, const std::string& part) {
  static const std::regex shard(R"((.*)-[0-9]{5,}-of-[0-9]{5,}\.safetensors)");
  std::smatch match;
  return file == part + ".safetensors" || (std::regex_match(file, match, shard) && match[1] == part);
}

void save_shard(const std::filesystem::path& file, const TensorMap& tensors, const Placements& placements,
                bool with_whole) {
  nlohmann::json pieces = nlohmann::json::object();
  TensorMap saved;
  for (const auto& [name, tensor] : tensors) {
    const auto placement = placements.find(name);
    if (placement == placements.end() && !with_whole) continue;
    saved.emplace(name, tensor);
    if (placement != placements.end())
      pieces[name] = {{"shape", placement->second.shape}, {"begin", placement->second.begin}};
  }
  save_safetensors(file, saved, {{kPieces, pieces.dump()}});
}

PartReader::PartReader(const std::vector<std::filesystem::path>& files) {
  for (const auto& file : files) {
    files_.emplace_back(file);
    add_file(files_.size() - 1);
  }
}

void PartReader::add_file(size_t index) {
  const Safetensors& file = files_[index];
  const auto metadata = file.metadata();
  const auto text = metadata.find(kPieces);
  nlohmann::json pieces = nlohmann::json::object();
  try {
    if (text != metadata.end()) pieces = nlohmann::json::parse(text->second);
    for (const std::string& name : file.names()) {
      Saved& saved = pieces_[name];
      const bool whole = !pieces.contains(name);
      const auto shape = whole ? file.shape(name) : pieces.at(name).at("shape").get<std::vector<int64_t>>();
      check(saved.pieces.empty() || saved.shape == shape, file.source(), ": ", name, " has shape ",
            at::IntArrayRef(shape), ", another file has ", at::IntArrayRef(saved.shape));
      saved.shape = shape;
      saved.pieces.push_back(
          {index, whole ? 0 : pieces.at(name).at("begin").get<int64_t>(), count_of(file.shape(name))});
    }
  } catch (const nlohmann::json::exception& error) {
    fail(file.source(), ": the metadata \"pieces\" cannot be read");
  }
}

void PartReader::restore(const std::string& name, const at::Tensor& tensor, const Placement& placement) const {
  const at::NoGradGuard no_grad;
  const std::string& source = files_.front().source();
  const auto found = pieces_.find(name);
  check(found != pieces_.end(), source, ": no tensor ", name);
  const Saved& saved = found->second;
  check(saved.shape == placement.shape, source, ": ", name, " has shape ", at::IntArrayRef(saved.shape), ", expected ",
        at::IntArrayRef(placement.shape));
  const int64_t first = placement.begin, last = first + tensor.numel();
  int64_t restored = 0;
  for (const Piece& piece : saved.pieces) {
    const int64_t begin = std::max(first, piece.begin), end = std::min(last, piece.begin + piece.count);
    const bool whole = piece.begin == first && piece.count == tensor.numel();  // empty tensors too
    if (begin >= end && !whole) continue;
    const at::Tensor values = files_[piece.file].load(name);
    check(values.scalar_type() == tensor.scalar_type(), files_[piece.file].source(), ": ", name, " is ",
          dtype_name(values.scalar_type()), ", expected ", dtype_name(tensor.scalar_type()));
    if (whole) {
      tensor.detach().copy_(values.view(tensor.sizes()));
    } else {
      tensor.detach()
          .view({-1})
          .narrow(0, begin - first, end - begin)
          .copy_(values.view({-1}).narrow(0, begin - piece.begin, end - begin));
    }
    restored += end - begin;
  }
  check(restored == tensor.numel(), source, ": ", restored, " of ", tensor.numel(), " elements of ", name,
        " are in the files of the checkpoint");
}

}  // namespace moga
