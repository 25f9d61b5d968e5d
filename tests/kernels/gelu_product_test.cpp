// The product with bias and GELU at its end: the value before GELU and the one after, against float64.
#include "moga/kernels/gelu_product.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

struct Case {
  int64_t rows, in, hidden;
};

void expect_within_rounding(const Case& at) {
  const at::Tensor x = random_on_gpu({at.rows, at.in}), bias = random_on_gpu({at.hidden});
  const at::Tensor weight = random_on_gpu({at.hidden, at.in}, at::kBFloat16, 1 / std::sqrt(static_cast<double>(at.in)));
  const at::Tensor pre = unwritten({at.rows, at.hidden}), y = unwritten({at.rows, at.hidden});
  const at::Tensor workspace = at::empty({static_cast<int64_t>(kernels::kProductWorkspace)}, on_gpu(at::kByte));
  kernels::gelu_product({.x = elements(x),
                         .weight = elements(weight),
                         .bias = elements(bias),
                         .pre = elements(pre),
                         .y = elements(y),
                         .rows = at.rows,
                         .in = at.in,
                         .hidden = at.hidden,
                         .workspace = workspace.data_ptr()});
  const at::Tensor expected = at::addmm(exact(bias), exact(x), exact(weight).t());
  EXPECT_TRUE(rounded_from(pre, expected));
  // Plain operations in bfloat16 apply GELU to the rounded product.
  const at::Tensor plain = at::gelu(expected.to(at::kBFloat16).to(at::kDouble), "tanh").to(at::kBFloat16);
  EXPECT_TRUE(as_good_as(y.cpu(), plain, at::gelu(expected, "tanh")));
}

TEST(GeluProductGpu, IsWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const Case& at : {Case{1, 64, 256}, {8, 64, 64}, {517, 320, 1280}, {70001, 64, 64}, {130, 1536, 8960}}) {
    SCOPED_TRACE(std::to_string(at.rows) + " x " + std::to_string(at.in) + " x " + std::to_string(at.hidden));
    expect_within_rounding(at);
  }
}

}  // namespace
}  // namespace moga::test
