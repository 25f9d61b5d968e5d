// The scratch that rows.h promises is enough for the sums over rows: nothing is written after it, all of it is used.
#include "moga/kernels/rows.h"

#include <gtest/gtest.h>

#include "moga/kernels/column_sum.h"
#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

TEST(RowsGpu, SumsStayInTheirScratch) {
  MOGA_NEEDS_GPU();
  constexpr int64_t kGuard = 1 << 16;
  for (const kernels::RowShape& shape : kRowShapes) {
    SCOPED_TRACE(name_of(shape));
    const auto size = static_cast<int64_t>(kernels::partial_sums(shape));
    const at::Tensor x = random_on_gpu({shape.videos * shape.tokens, shape.columns});
    const at::Tensor out = unwritten({shape.videos, shape.columns}, at::kFloat);
    const at::Tensor partial = unwritten({size + kGuard}, at::kFloat);
    kernels::column_sum({.x = elements(x), .out = floats(out), .partial = floats(partial), .shape = shape});
    EXPECT_EQ(partial.narrow(0, 0, size).isnan().sum().item<int64_t>(), 0);
    EXPECT_EQ(partial.narrow(0, size, kGuard).isnan().sum().item<int64_t>(), kGuard);
  }
}

}  // namespace
}  // namespace moga::test
