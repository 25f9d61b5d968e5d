// The numbers as JSON and as a table, and the line that names a collapsed router.
#include "moga/pipeline/inspect_report.h"

#include <gtest/gtest.h>

#include "tests/pipeline/inspect_cases.h"

namespace moga {
namespace {

TEST(InspectReport, JsonHasTheNumbersOfEveryRecord) {
  const Inspection inspection = test::inspected_film();
  const nlohmann::json json = inspection_json(inspection);
  ASSERT_EQ(json["records"].size(), 4u);
  const auto& record = json["records"][3];
  EXPECT_EQ(record["step"], 2);
  EXPECT_EQ(record["layer"], 1);
  EXPECT_EQ(record["counts"].size(), 3u);
  EXPECT_DOUBLE_EQ(record["cost"], inspection.records[3].numbers.cost());
  EXPECT_TRUE(record["agreement_previous_layer"].is_number());
  EXPECT_TRUE(json["records"][0]["agreement_previous_layer"].is_null());
  EXPECT_EQ(record["shot_sharing"].size(), 2u);
  EXPECT_FALSE(record.contains("overlap"));
  EXPECT_EQ(json["video"]["tokens"], inspection.video.tokens());
}

TEST(InspectReport, TheTableHasARowForEachLayer) {
  const std::string table = inspection_table(test::inspected_film());
  EXPECT_EQ(std::ranges::count(table, '\n'), 3);
  EXPECT_NE(table.find("balance"), std::string::npos);
  EXPECT_NE(table.find("\n1  "), std::string::npos) << table;
}

TEST(InspectReport, AStoryHasItsOverlaps) {
  const Inspection inspection = inspect_story(test::small_story(), test::tiny_models(), {.timesteps = {500}});
  EXPECT_NE(inspection_table(inspection).find("untrained"), std::string::npos);
  const nlohmann::json json = inspection_json(inspection);
  EXPECT_GT(json["records"][0]["overlap"]["background"]["trained"], 0.0);
}

TEST(InspectReport, ACollapseIsNamedInOneLine) {
  const std::vector<std::string> findings = inspection_findings(test::collapsed_film());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(
      findings[0],
      "layer 1: the router has collapsed in 2 of 2 observed steps: group 2 has up to 100.0 % of the tokens (even: "
      "33.3 %)");
}

}  // namespace
}  // namespace moga
