// The cases of `moga bench attention` match their names, and their rates follow from pairs and time.
#include "moga/bench/attention_bench.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "tests/support/error.h"

namespace moga {
namespace {

AttentionBenchConfig tiny() {
  return {
      .video = {6, 4, 4, {3, 3}}, .heads = 2, .head_dim = 8, .cases = {"equal:3", "windows"}, .windows = {2, 2, 2, 1}};
}

BenchSetup on_cpu() {
  return {.device = at::kCPU, .dtype = at::kFloat, .meter = {.warm_up = 1, .repeats = 2, .seconds = 0.1}};
}

TEST(AttentionBench, GroupingsHaveTheLengthsTheirNamesSay) {
  const AttentionBenchConfig config = tiny();
  const auto lengths = [&](const char* name) { return bench_grouping(name, config, at::kCPU).query.lengths; };
  EXPECT_EQ(lengths("equal:5"), (std::vector<int64_t>{20, 19, 19, 19, 19}));
  EXPECT_EQ(lengths("unequal:3"), (std::vector<int64_t>{16, 32, 48}));
  EXPECT_EQ(lengths("frames"), std::vector<int64_t>(6, 16));
  EXPECT_EQ(lengths("dense"), std::vector<int64_t>{96});
  EXPECT_EQ(pairs_of(bench_grouping("unequal:3", config, at::kCPU)), 16 * 16 + 32 * 32 + 48 * 48);
  // Runs of 2 and 1 frames per shot; the run at the cut also has one frame beyond it.
  EXPECT_EQ(pairs_of(bench_grouping("windows", config, at::kCPU)), 4 * 16 * (2 * 2 + 1 * 2 + 2 * 3 + 1 * 1));
  EXPECT_EQ(bench_grouping("routed:4", config, at::kCPU).query.offsets[-1].item<int>(), 96);
}

TEST(AttentionBench, ReportsRatesBesideDenseAttention) {
  const BenchReport report = bench_attention(tiny(), on_cpu());
  ASSERT_EQ(report.rows.size(), 6u);  // dense and two cases, forward and backward
  const BenchRow &dense = report.rows[0], &equal = report.rows[2], &backward = report.rows[3];
  EXPECT_EQ(dense.work, "dense");
  EXPECT_EQ(*dense.ratio, 1.0);
  EXPECT_EQ(equal.work, "equal:3");
  EXPECT_EQ(equal.flop, 4.0 * 96 * 32 * 16);
  EXPECT_EQ(backward.pass, "backward");
  EXPECT_EQ(backward.flop, 2.5 * equal.flop);
  EXPECT_NEAR(*equal.ratio, equal.flop / equal.measured.seconds * dense.measured.seconds / dense.flop, 1e-9);
  EXPECT_GT(report.rates.matrix_flops, 0);
  EXPECT_GT(backward.measured.peak_bytes, equal.measured.peak_bytes);
}

TEST(AttentionBench, WritesATableAndJson) {
  const BenchReport report = bench_attention(tiny(), on_cpu());
  const std::string table = to_table(report);
  EXPECT_NE(table.find("equal:3"), std::string::npos) << table;
  EXPECT_NE(table.find("over dense sdpa"), std::string::npos) << table;
  const auto json = nlohmann::json::parse(to_json_text(report));
  EXPECT_EQ(json["sizes"]["tokens"], 96);
  EXPECT_EQ(json["rows"].size(), report.rows.size());
  EXPECT_EQ(json["rows"][2]["flop_per_second"], report.rows[2].flop / report.rows[2].measured.seconds);
}

TEST(AttentionBench, NamesCasesThatAreNone) {
  const std::string known =
      " is not one of dense, equal:M, unequal:M, routed:M, windows, frames (M: 1 to 65535 groups)";
  AttentionBenchConfig config = tiny();
  for (const std::string name : {"equal", "equal:", "equal:x", "equal:0", "equal:65536", "windows:2", "some"}) {
    config.cases = {name};
    EXPECT_EQ(test::error_of([&] { config.validate(); }), "case '" + name + "'" + known);
  }
  config.cases = {};
  EXPECT_EQ(test::error_of([&] { config.validate(); }), "no case to measure");
}

}  // namespace
}  // namespace moga
