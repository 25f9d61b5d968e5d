// The folder of an inspection: complete, or absent; sheets show the maps; the page holds the data and nothing else.
#include "moga/pipeline/inspect_files.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/data/video/image.h"
#include "moga/pipeline/inspect_colours.h"
#include "tests/pipeline/inspect_cases.h"
#include "tests/support/error.h"

namespace moga {
namespace {

// The JSON in the page.
nlohmann::json data_of(const std::string& page) {
  const std::string head = "<script id=\"data\" type=\"application/json\">";
  const size_t begin = page.find(head) + head.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

TEST(InspectFiles, AreWrittenWhole) {
  const test::Folder folder;
  write_inspection(folder / "out", test::inspected_film());
  for (const char* name :
       {"index.html", "inspect.json", "sheets/step-001-layer-00.png", "sheets/step-002-layer-01.png"})
    EXPECT_TRUE(std::filesystem::exists(folder / "out" / name)) << name;
  EXPECT_EQ(load_png(folder / "out/sheets/step-001-layer-00.png").sizes(),
            (at::IntArrayRef{3, 4 + 2 * 36, 4 + 8 * 52}));
}

TEST(InspectFiles, AnInterruptLeavesNothing) {
  const test::Folder folder;
  const Inspection inspection = test::inspected_film();
  set_interrupted(true);
  EXPECT_THROW(write_inspection(folder / "out", inspection), Interrupted);
  set_interrupted(false);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(InspectFiles, ASheetShowsTheGroups) {
  const Inspection inspection = test::inspected_film();
  const RoutingRecord& record = inspection.records[0];
  const at::Tensor sheet = record_sheet(inspection, record);
  // Second picture of the first row: groups over latent frame 0, whose shot has 3 latent frames.
  const int64_t group = record.maps.group[0][1][2].item<int64_t>();
  const at::Tensor pixel = sheet.select(1, 4 + 24).select(1, 4 + 52 + 40).to(at::kFloat);
  const at::Tensor grey = inspection.pictures[0].select(1, 24).select(1, 40).to(at::kFloat).mean();
  const at::Tensor expected = at::lerp(grey, group_colours()[group].to(at::kFloat), kOverlayOpacity);
  EXPECT_LT((pixel - expected).abs().max().item<double>(), 1.5);
}

TEST(InspectFiles, ThePageLoadsNothing) {
  const std::string page = inspection_page(test::inspected_film());
  for (const char* outside : {"http:", "https:", "src=\"", "url(", "import("})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
}

TEST(InspectFiles, ThePageHoldsTheData) {
  const Inspection inspection = test::inspected_film();
  const nlohmann::json data = data_of(inspection_page(inspection));
  EXPECT_EQ(data["title"], "Two </script> shots");
  EXPECT_EQ(data["captions"][1], "Tom <b>walks</b> by the lake.");
  EXPECT_EQ(data["pictures"].size(), inspection.pictures.size());
  const auto tokens = static_cast<size_t>(inspection.video.tokens());
  EXPECT_EQ(data["records"][0]["maps"]["group"].get<std::string>().size(), (tokens + 2) / 3 * 4);
  EXPECT_EQ(data["attention"][0]["windows"].size(),
            windows_of(inspection.video, inspection.attention[0].windows).size());
}

}  // namespace
}  // namespace moga
