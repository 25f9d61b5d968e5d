// The page of an inspection: inspect_page.html, with the numbers as JSON, the film as JPEGs and the maps as bytes, all
// in base64. Nothing in it is loaded from elsewhere. Text from outside (titles, captions) is inside JSON in which "<"
// is escaped, and the page shows it as text.
#include <ATen/ATen.h>

#include "moga/core/base64.h"
#include "moga/core/html_page.h"
#include "moga/data/video/image.h"
#include "moga/pipeline/inspect_colours.h"
#include "moga/pipeline/inspect_files.h"
#include "moga/pipeline/inspect_page_text.h"
#include "moga/pipeline/inspect_report.h"

namespace moga {
namespace {

using nlohmann::json;

constexpr int kJpegQuality = 88;
constexpr const char* kPlaceOfData = "\"the data of an inspection\"";

std::string bytes_as_text(const at::Tensor& bytes) {
  const at::Tensor own = bytes.contiguous();
  return base64(std::string_view(static_cast<const char*>(own.const_data_ptr()), static_cast<size_t>(own.numel())));
}

json colours_json(const at::Tensor& colours) {
  json table = json::array();
  for (int64_t i = 0; i < colours.size(0); ++i) {
    const at::Tensor row = colours[i].contiguous();
    const auto* rgb = row.const_data_ptr<uint8_t>();
    table.push_back({rgb[0], rgb[1], rgb[2]});
  }
  return table;
}

// Where keys of a query come from, besides its group: see Window.
json static_json(const VisualAttentionConfig& config, const VideoShape& video) {
  json windows = json::array();
  if (config.window)
    for (const Window& window : windows_of(video, config.windows))
      windows.push_back({window.first_frame, window.frames, window.key_first_frame, window.key_frames, window.row,
                         window.rows, window.column, window.columns});
  return {{"frame", config.frame}, {"windows", windows}};
}

json page_data(const Inspection& inspection) {
  json data = inspection_json(inspection);
  for (size_t expert = 0; expert < inspection.attention.size(); ++expert)
    data["attention"][expert].update(static_json(inspection.attention[expert], inspection.video));
  for (size_t i = 0; i < inspection.records.size(); ++i) {
    const RoutingMaps& maps = inspection.records[i].maps;
    data["records"][i]["maps"] = {{"group", bytes_as_text(maps.group)},
                                  {"gate", bytes_as_text(maps.gate)},
                                  {"entropy", bytes_as_text(maps.entropy)}};
  }
  data["pictures"] = json::array();
  for (const at::Tensor& picture : inspection.pictures)
    data["pictures"].push_back("data:image/jpeg;base64," + base64(jpeg_bytes(picture, kJpegQuality)));
  data["colours"] = {{"groups", colours_json(group_colours())},
                     {"values", colours_json(value_colours())},
                     {"opacity", kOverlayOpacity}};
  return data;
}

}  // namespace

std::string inspection_page(const Inspection& inspection) {
  return page_with_data(kInspectPage, kPlaceOfData, page_data(inspection));
}

}  // namespace moga
