// `moga bench products` measures the products of a block with weights in all three ways.
#include "moga/bench/product_bench.h"

#include <gtest/gtest.h>

#include "tests/support/error.h"

namespace moga {
namespace {

TEST(ProductBench, MeasuresWeightsInEightBitsAsWell) {
  const ProductBenchConfig config{.width = 64, .ffn = 160, .tokens = 48};
  const BenchReport report =
      bench_products(config, {.device = at::kCPU, .dtype = at::kBFloat16, .meter = {.warm_up = 0, .repeats = 1}});
  ASSERT_EQ(report.rows.size(), 3u);
  EXPECT_EQ(report.rows[0].work, "bfloat16");
  EXPECT_EQ(report.rows[2].work, "8-bit products");
  for (const BenchRow& row : report.rows) {
    EXPECT_EQ(row.flop, 2.0 * 48 * (4 * 64 * 64 + 2 * 64 * 160));
    EXPECT_DOUBLE_EQ(*row.ratio, report.rows[0].measured.seconds / row.measured.seconds);
  }
  EXPECT_EQ(test::error_of([] { ProductBenchConfig{.width = 0}.validate(); }),
            "products of 32760 tokens of 0, hidden 8960");
}

}  // namespace
}  // namespace moga
