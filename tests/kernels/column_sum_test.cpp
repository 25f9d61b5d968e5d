// Sums over the rows of each video, against float64, and the same bits in every run.
#include "moga/kernels/column_sum.h"

#include <gtest/gtest.h>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

at::Tensor run(const at::Tensor& x, const kernels::RowShape& shape) {
  const at::Tensor out = unwritten({shape.videos, shape.columns}, at::kFloat), partial = scratch_for(shape, 1);
  kernels::column_sum({.x = elements(x), .out = floats(out), .partial = floats(partial), .shape = shape});
  return out;
}

TEST(ColumnSumGpu, IsTheSumInFloat32) {
  MOGA_NEEDS_GPU();
  for (const kernels::RowShape& shape : kRowShapes) {
    SCOPED_TRACE(name_of(shape));
    const at::Tensor x = random_on_gpu({shape.videos * shape.tokens, shape.columns});
    const at::Tensor sum = run(x, shape);
    EXPECT_TRUE(float_of(sum, sum_of_rows(exact(x), shape)));
    EXPECT_TRUE(at::equal(sum, run(x, shape)));
  }
}

}  // namespace
}  // namespace moga::test
