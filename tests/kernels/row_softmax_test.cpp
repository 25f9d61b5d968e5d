// Softmax of scaled float32 scores, written as bfloat16, against float64.
#include "moga/kernels/row_softmax.h"

#include <gtest/gtest.h>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

at::Tensor run(const at::Tensor& x, float scale) {
  const at::Tensor y = unwritten(x.sizes());
  kernels::row_softmax({.x = floats(x), .y = elements(y), .scale = scale, .rows = x.size(0), .columns = x.size(1)});
  return y;
}

TEST(RowSoftmaxGpu, IsWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 7}, {5, 255}, {5, 257}, {70001, 33}, {64, 6240}})
    for (const float scale : {1.0f, 0.05f}) {
      const at::Tensor x = random_on_gpu({rows, columns}, at::kFloat, 3);
      EXPECT_TRUE(rounded_from(run(x, scale), at::softmax(exact(x) * static_cast<double>(scale), 1)))
          << rows << " x " << columns << ", scale " << scale;
    }
}

// exp(x) overflows float32 from 89 on; the maximum is subtracted first.
TEST(RowSoftmaxGpu, LargeScoresDoNotOverflow) {
  MOGA_NEEDS_GPU();
  const at::Tensor x = random_on_gpu({100, 1000}, at::kFloat, 2, 3000);
  EXPECT_TRUE(rounded_from(run(x, 1), at::softmax(exact(x), 1)));
  EXPECT_TRUE(rounded_from(run(-x, 1), at::softmax(-exact(x), 1)));
}

}  // namespace
}  // namespace moga::test
