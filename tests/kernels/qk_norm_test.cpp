// RMSNorm and the rotary embedding after it, and their gradients, against float64.
#include "moga/kernels/qk_norm.h"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

constexpr double kEps = 1e-6;

struct Case {
  int64_t tokens;
  int32_t heads, head_dim;
  bool turned;
};

struct Inputs {
  at::Tensor x, weight, table;
};

kernels::RowShape shape_of(const Case& at) { return {1, at.tokens, at.heads * at.head_dim}; }

Inputs draw(const Case& at) {
  const at::Tensor angle = at::rand({at.tokens, at.head_dim / 2}) * 100;
  return {random_on_gpu({at.tokens, at.heads * at.head_dim}, at::kBFloat16, 2),
          random_on_gpu({at.heads * at.head_dim}, at::kFloat, 1, 1),
          at.turned ? at::stack({angle.cos(), angle.sin()}, 2).to(on_gpu(at::kFloat)) : at::Tensor()};
}

// Turns the pairs of x [tokens, H · D] by the table's angles, or back with direction −1.
at::Tensor turn(const at::Tensor& x, const Inputs& in, const Case& at, double direction) {
  if (!in.table.defined()) return x;
  const at::Tensor pairs = x.view({at.tokens, at.heads, at.head_dim / 2, 2});
  const at::Tensor table = exact(in.table).unsqueeze(1);  // [tokens, 1, D/2, 2]
  const at::Tensor cos = table.select(3, 0), sin = table.select(3, 1) * direction;
  const at::Tensor a = pairs.select(3, 0), b = pairs.select(3, 1);
  return at::stack({a * cos - b * sin, b * cos + a * sin}, 3).view(x.sizes());
}

at::Tensor rstd_of(const at::Tensor& x) { return x.square().mean(1, true).add(kEps).rsqrt(); }

void expect_forward(const Inputs& in, const Case& at) {
  const at::Tensor y = unwritten(in.x.sizes()), x = exact(in.x);
  kernels::qk_norm({.x = elements(in.x),
                    .weight = floats(in.weight),
                    .table = floats(in.table),
                    .y = elements(y),
                    .head_dim = at.head_dim,
                    .eps = static_cast<float>(kEps),
                    .shape = shape_of(at)});
  EXPECT_TRUE(rounded_from(y, turn(x * rstd_of(x) * exact(in.weight), in, at, 1)));
}

struct Gradients {
  at::Tensor dx, dweight;
};

Gradients backward(const Inputs& in, const at::Tensor& dy, const Case& at, bool with_weight) {
  const Gradients out = {unwritten(dy.sizes()), with_weight ? unwritten(in.weight.sizes(), at::kFloat) : at::Tensor()};
  const at::Tensor partial = scratch_for(shape_of(at), 1);
  kernels::qk_norm_backward({.dy = elements(dy),
                             .x = elements(in.x),
                             .weight = floats(in.weight),
                             .table = floats(in.table),
                             .dx = elements(out.dx),
                             .dweight = floats(out.dweight),
                             .partial = floats(partial),
                             .head_dim = at.head_dim,
                             .eps = static_cast<float>(kEps),
                             .shape = shape_of(at)});
  return out;
}

void expect_backward(const Inputs& in, const Case& at) {
  const at::Tensor dy = random_on_gpu(in.x.sizes()), x = exact(in.x), rstd = rstd_of(x), normed = x * rstd;
  const at::Tensor g = turn(exact(dy), in, at, -1), scaled = g * exact(in.weight);
  const Gradients out = backward(in, dy, at, /*with_weight=*/true);
  EXPECT_TRUE(rounded_from(out.dx, rstd * (scaled - normed * (scaled * normed).mean(1, true))));
  EXPECT_TRUE(float_of(out.dweight, (g * normed).sum(0)));
  EXPECT_TRUE(at::equal(out.dx, backward(in, dy, at, /*with_weight=*/false).dx));
}

TEST(QkNormGpu, ValueAndGradientsAreWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const auto& [tokens, heads, head_dim] : {std::tuple<int64_t, int32_t, int32_t>{1, 1, 8},
                                                {1001, 2, 24},
                                                {66001, 1, 64},
                                                {33, 12, 128},
                                                {19, 40, 128},
                                                {5, 64, 128}})
    for (const bool turned : {true, false}) {
      const Case at = {tokens, heads, head_dim, turned};
      SCOPED_TRACE(name_of(shape_of(at)) + (turned ? ", turned" : ""));
      const Inputs in = draw(at);
      expect_forward(in, at);
      expect_backward(in, at);
    }
}

}  // namespace
}  // namespace moga::test
