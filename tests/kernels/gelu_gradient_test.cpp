// The gradient of GELU: value and derivative at every bfloat16, and the kernel against float64.
#include "moga/kernels/gelu_gradient.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/device.h"
#include "moga/kernels/device/gelu.h"
#include "tests/support/compare.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

using kernels::Bfloat16;

struct Gradients {
  at::Tensor pre, bias;  // [rows, hidden], [hidden]
  at::Tensor value;      // gelu(pre) [rows, hidden]
};

Gradients plain(const at::Tensor& dy, const at::Tensor& pre, at::ScalarType dtype) {
  const at::Tensor dpre = at::gelu_backward(dy.to(dtype), pre.to(dtype), "tanh");
  return {dpre, dpre.sum(0), at::gelu(pre.to(dtype), "tanh")};
}

Gradients run(const at::Tensor& dy, const at::Tensor& pre, bool in_place) {
  const auto floats = pre.options().dtype(at::kFloat);
  const auto hidden = static_cast<int32_t>(pre.size(1));
  const at::Tensor from = dy.clone(), before = pre.clone();
  const auto place = [in_place](const at::Tensor& x) { return in_place ? x : at::full_like(x, NAN); };
  const Gradients out = {place(from), at::full({hidden}, NAN, floats), place(before)};
  const at::Tensor partial =
      at::full({static_cast<int64_t>(kernels::gelu_gradient_partial(pre.size(0), hidden))}, NAN, floats);
  const auto elements = [](const at::Tensor& x) { return static_cast<Bfloat16*>(x.data_ptr()); };
  kernels::gelu_gradient({.dy = elements(from),
                          .pre = elements(before),
                          .dpre = elements(out.pre),
                          .y = elements(out.value),
                          .dbias = out.bias.data_ptr<float>(),
                          .partial = partial.data_ptr<float>(),
                          .rows = pre.size(0),
                          .hidden = hidden});
  synchronize(at::kCUDA);
  return out;
}

TEST(Gelu, IsRightAtEveryBfloat16) {
  const at::Tensor all = at::arange(-32768, 32768, at::kInt).to(at::kShort).view(at::kBFloat16).to(at::kFloat);
  const at::Tensor x = all.index({all.isfinite()}).contiguous();
  at::Tensor values = at::empty_like(x), derivatives = at::empty_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const kernels::Gelu gelu = kernels::gelu(x.const_data_ptr<float>()[i]);
    values.data_ptr<float>()[i] = gelu.value;
    derivatives.data_ptr<float>()[i] = gelu.derivative;
  }
  const at::Tensor u = x.to(at::kDouble) * 1.5957691216057308, square = x.to(at::kDouble).square();
  const at::Tensor s = at::sigmoid(u * (1 + 0.044715 * square)), rest = at::sigmoid(-u * (1 + 0.044715 * square));
  const at::Tensor right = s * (1 + rest * u * (1 + 3 * 0.044715 * square)), product = x * s;
  EXPECT_LE((derivatives - right).abs().max().item<double>(), 1e-6);
  EXPECT_LE(((values - product).abs() / (1 + product.abs())).max().item<double>(), 1e-6);
}

TEST(Gelu, OfNanIsNan) {
  EXPECT_TRUE(std::isnan(kernels::gelu(NAN).derivative));
  EXPECT_TRUE(std::isnan(kernels::gelu(NAN).value));
}

TEST(GeluGradientGpu, IsAsGoodAsPlainOperations) {
  MOGA_NEEDS_GPU();
  const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  for (const int64_t rows : {1, 7, 1000, 70000})
    for (const int64_t hidden : {8, 896, 8960}) {
      if (rows * hidden > 20'000'000) continue;  // OfManyWideRows
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(hidden));
      const at::Tensor dy = at::randn({rows, hidden}, bf16), pre = at::randn({rows, hidden}, bf16) * 3;
      const Gradients ours = run(dy, pre, /*in_place=*/false), again = run(dy, pre, /*in_place=*/true);
      const Gradients rough = plain(dy, pre, at::kBFloat16), exact = plain(dy, pre, at::kDouble);
      EXPECT_TRUE(as_good_as(ours.pre, rough.pre, exact.pre));
      EXPECT_TRUE(as_good_as(ours.bias, rough.bias, exact.bias));
      EXPECT_TRUE(as_good_as(ours.value, rough.value, exact.value));
      EXPECT_TRUE(at::equal(ours.pre, again.pre) && at::equal(ours.bias, again.bias));
      EXPECT_TRUE(at::equal(ours.value, again.value));
    }
}

TEST(GeluGradientGpu, OfManyWideRows) {
  MOGA_NEEDS_GPU();
  const auto bf16 = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  const at::Tensor dy = at::randn({70001, 8960}, bf16), pre = at::randn({70001, 8960}, bf16) * 3;
  const Gradients ours = run(dy, pre, /*in_place=*/false), rough = plain(dy, pre, at::kBFloat16);
  const auto error = [](const at::Tensor& x, const at::Tensor& expected) {
    return ((x - expected).norm(2, at::kFloat) / expected.norm(2, at::kFloat)).item<double>();
  };
  EXPECT_LE(error(ours.pre, rough.pre), 5e-3);
  EXPECT_LE(error(ours.value, rough.value), 5e-3);
  EXPECT_LE(error(ours.bias, rough.pre.sum(0, false, at::kFloat)), 5e-3);
}

}  // namespace
}  // namespace moga::test
