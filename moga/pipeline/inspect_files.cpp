// See inspect_files.h.
#include "moga/pipeline/inspect_files.h"

#include <ATen/ATen.h>

#include "moga/core/files.h"
#include "moga/core/format.h"
#include "moga/core/interrupt.h"
#include "moga/data/video/image.h"
#include "moga/pipeline/inspect_colours.h"
#include "moga/pipeline/inspect_report.h"

namespace moga {
namespace {

constexpr int64_t kSheetFrames = 2, kSheetWidest = 1920;
constexpr int64_t kMapsPerFrame = 4;

// Indices into `frames` of those of one shot.
std::vector<int64_t> kept_of_shot(const Inspection& inspection, int64_t shot) {
  std::vector<int64_t> kept;
  for (size_t i = 0; i < inspection.frames.size(); ++i)
    if (inspection.frames[i] >= inspection.video.begin_of_shot(shot) &&
        inspection.frames[i] < inspection.video.begin_of_shot(shot + 1))
      kept.push_back(static_cast<int64_t>(i));
  return kept;
}

std::string sheet_name(const Inspection& inspection, const RoutingRecord& record) {
  return formatted("step-%03lld-layer-%02lld.png", static_cast<long long>(inspection.steps[record.step].number),
                   static_cast<long long>(record.layer));
}

}  // namespace

at::Tensor record_sheet(const Inspection& inspection, const RoutingRecord& record) {
  constexpr int64_t kColumns = kSheetFrames * kMapsPerFrame;
  constexpr int64_t kWidest = (kSheetWidest - kImageMargin) / kColumns - kImageMargin;
  std::vector<std::vector<at::Tensor>> rows;
  for (int64_t shot = 0; shot < inspection.video.shots(); ++shot) {
    const std::vector<int64_t> kept = kept_of_shot(inspection, shot);
    const auto count = static_cast<int64_t>(kept.size());
    auto& row = rows.emplace_back();
    for (int64_t i = 0; i < kSheetFrames; ++i) {
      const int64_t frame = kept[static_cast<size_t>((2 * i + 1) * count / (2 * kSheetFrames))];
      const at::Tensor picture = shrunk_image(inspection.pictures[static_cast<size_t>(frame)], kWidest);
      row.push_back(picture);
      row.push_back(overlay(picture, record.maps.group[frame], group_colours()));
      row.push_back(overlay(picture, record.maps.gate[frame], value_colours()));
      row.push_back(overlay(picture, record.maps.entropy[frame], value_colours()));
    }
  }
  return tile_images(rows);
}

void write_inspection(const std::filesystem::path& folder, const Inspection& inspection) {
  write_folder_atomically(folder, Existing::kRefuse, [&](const std::filesystem::path& temporary) {
    make_folder(temporary / "sheets");
    for (const RoutingRecord& record : inspection.records) {
      stop_if_interrupted();
      save_png(temporary / "sheets" / sheet_name(inspection, record), record_sheet(inspection, record));
    }
    write_text(temporary / "inspect.json", inspection_json(inspection).dump(1) + "\n");
    write_text(temporary / "index.html", inspection_page(inspection));
  });
}

}  // namespace moga
