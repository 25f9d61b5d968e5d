// x and GELU of x in 8 bits with one scale, against float64.
#include "moga/kernels/eight_bits.h"

#include <gtest/gtest.h>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

constexpr double kLargest = 448;       // of float8_e4m3fn
constexpr double kHalfStep = 1 / 16.;  // half the distance of neighbours, relative: 3 bits of mantissa
constexpr double kSubnormal = 1. / 1024;

struct Result {
  at::Tensor values;  // float64, dequantised, on the host
  double scale = 0;
};

Result run(const at::Tensor& x, bool gelu) {
  const at::Tensor y = at::full(x.sizes(), 0x7f, on_gpu(at::kByte)), scale = unwritten({}, at::kFloat),
                   largest = unwritten({}, at::kFloat);
  kernels::eight_bits({.x = elements(x),
                       .y = y.data_ptr<uint8_t>(),
                       .scale = floats(scale),
                       .largest = floats(largest),
                       .count = x.numel(),
                       .gelu = gelu});
  const double s = scale.item<float>();
  return {y.cpu().view(at::kFloat8_e4m3fn).to(at::kDouble) * s, s};
}

// Every element is within half a step of its neighbours.
void expect_near(const Result& result, const at::Tensor& exact_values) {
  const double scale = exact_values.abs().max().item<double>() / kLargest;
  EXPECT_NEAR(result.scale, scale, 1e-5 * scale);
  const at::Tensor allowed = exact_values.abs() * (kHalfStep * 1.001) + scale * kSubnormal;
  EXPECT_TRUE(((result.values - exact_values).abs() <= allowed).all().item<bool>());
}

TEST(EightBitsGpu, IsWithinHalfAStep) {
  MOGA_NEEDS_GPU();
  for (const int64_t count : {16, 512, 8208, 5 * 1024 * 1024}) {
    SCOPED_TRACE(count);
    const at::Tensor x = random_on_gpu({count}, at::kBFloat16, 3);
    expect_near(run(x, false), exact(x));
    expect_near(run(x, true), at::gelu(exact(x), "tanh"));
  }
}

// The conversion rounds to nearest even, as ATen's does.
TEST(EightBitsGpu, RoundsAsAtenDoes) {
  MOGA_NEEDS_GPU();
  const at::Tensor x = random_on_gpu({1 << 20});
  const Result result = run(x, false);
  const at::Tensor wide = x.to(at::kFloat), inverse = kLargest / wide.abs().max();
  const at::Tensor expected = (wide * inverse).clamp(-kLargest, kLargest).to(at::kFloat8_e4m3fn);
  EXPECT_TRUE(at::equal(result.values, expected.cpu().to(at::kDouble) * result.scale));
}

TEST(EightBitsGpu, ZerosHaveAScaleAndNanIsKept) {
  MOGA_NEEDS_GPU();
  at::Tensor x = at::zeros({64}, on_gpu(at::kBFloat16));
  const Result zeros = run(x, false);
  EXPECT_GT(zeros.scale, 0);
  EXPECT_EQ(zeros.values.abs().max().item<double>(), 0);
  x.narrow(0, 5, 1).fill_(NAN);
  EXPECT_TRUE(std::isnan(run(x, false).scale));
  EXPECT_TRUE(std::isnan(run(x, true).scale));
}

}  // namespace
}  // namespace moga::test
