// See model_size.h.
#include "moga/pipeline/model_size.h"

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"

namespace moga {
namespace {

struct TrainedOn {
  std::vector<int64_t> size;
  void validate() const { check(size.size() == 2 && size[0] > 0 && size[1] > 0, "size: expected [width, height]"); }
  template <class Fields>
  void fields(Fields& field) {
    field("size", size, "width and height in pixels");
  }
};

}  // namespace

std::optional<std::vector<int64_t>> model_size(const std::filesystem::path& folder) {
  const std::filesystem::path index = folder / "model_index.json";
  if (!std::filesystem::exists(index)) return std::nullopt;
  const nlohmann::json json = parse_json_object(read_text(index, kMostConfigBytes), index.string());
  if (!json.contains("_moga")) return std::nullopt;
  return parse_json<TrainedOn>(json["_moga"].dump(), index.string() + ": _moga").size;
}

}  // namespace moga
