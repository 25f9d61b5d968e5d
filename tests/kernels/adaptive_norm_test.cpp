// LayerNorm with the scale and shift of each video, the residual before it, and their gradients, against float64.
#include "moga/kernels/adaptive_norm.h"

#include <gtest/gtest.h>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

constexpr double kEps = 1e-6;

enum class Residual { kNone, kBranch, kGatedBranch };
constexpr Residual kResiduals[] = {Residual::kNone, Residual::kBranch, Residual::kGatedBranch};

struct Forward {
  at::Tensor x, y, mean, rstd;
};

struct Inputs {
  at::Tensor before, branch, gate, weight, bias;
};

Inputs draw(const kernels::RowShape& shape, Residual residual) {
  const at::DimVector rows{shape.videos * shape.tokens, shape.columns}, vectors{shape.videos, shape.columns};
  return {random_on_gpu(rows, at::kBFloat16, 3, 2), residual == Residual::kNone ? at::Tensor() : random_on_gpu(rows),
          residual == Residual::kGatedBranch ? random_on_gpu(vectors, at::kFloat) : at::Tensor(),
          random_on_gpu(vectors, at::kFloat, 1, 1), random_on_gpu(vectors, at::kFloat)};
}

Forward forward(const Inputs& in, const kernels::RowShape& shape) {
  const int64_t rows = in.before.size(0);
  const Forward out = {in.branch.defined() ? unwritten(in.before.sizes()) : at::Tensor(), unwritten(in.before.sizes()),
                       unwritten({rows}, at::kFloat), unwritten({rows}, at::kFloat)};
  kernels::adaptive_norm({.before = elements(in.before),
                          .branch = elements(in.branch),
                          .gate = floats(in.gate),
                          .x = elements(out.x),
                          .weight = floats(in.weight),
                          .bias = floats(in.bias),
                          .y = elements(out.y),
                          .mean = floats(out.mean),
                          .rstd = floats(out.rstd),
                          .eps = static_cast<float>(kEps),
                          .shape = shape});
  return out;
}

// The norm is compared from x as it was stored: bfloat16 rounds some sums of two to the other side.
void expect_forward(const kernels::RowShape& shape, Residual residual) {
  const Inputs in = draw(shape, residual);
  const Forward out = forward(in, shape);
  at::Tensor x = exact(in.before);
  if (in.branch.defined()) {
    x = x + exact(in.branch) * (in.gate.defined() ? for_every_row(in.gate, shape) : at::ones({1}, at::kDouble));
    EXPECT_TRUE(rounded_from(out.x, x));
    x = exact(out.x);
  }
  const at::Tensor mean = x.mean(1), rstd = (x - mean.unsqueeze(1)).square().mean(1).add(kEps).rsqrt();
  const at::Tensor normed = (x - mean.unsqueeze(1)) * rstd.unsqueeze(1);
  EXPECT_TRUE(float_of(out.mean, mean));
  EXPECT_TRUE(float_of(out.rstd, rstd));
  EXPECT_TRUE(rounded_from(out.y, normed * for_every_row(in.weight, shape) + for_every_row(in.bias, shape)));
}

TEST(AdaptiveNormGpu, ForwardIsWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const kernels::RowShape& shape : kRowShapes)
    for (const Residual residual : kResiduals) {
      SCOPED_TRACE(name_of(shape) + ", residual " + std::to_string(static_cast<int>(residual)));
      expect_forward(shape, residual);
    }
}

struct Gradients {
  at::Tensor dx, dbranch, dweight, dbias, dgate;
};

struct Received {
  at::Tensor x, dy, dx_others, mean, rstd;
};

Received receive(const Inputs& in, bool others) {
  const at::Tensor x = exact(in.before), mean = x.mean(1);
  return {in.before, random_on_gpu(x.sizes()), others ? random_on_gpu(x.sizes()) : at::Tensor(),
          mean.to(on_gpu(at::kFloat)),
          (x - mean.unsqueeze(1)).square().mean(1).add(kEps).rsqrt().to(on_gpu(at::kFloat))};
}

Gradients backward(const Inputs& in, const Received& from, const kernels::RowShape& shape, bool with_vectors) {
  const bool gated = in.gate.defined();
  const at::DimVector vectors{shape.videos, shape.columns};
  const auto vector_gradient = [&](bool wanted) { return wanted ? unwritten(vectors, at::kFloat) : at::Tensor(); };
  const Gradients out = {unwritten(from.x.sizes()), gated ? unwritten(from.x.sizes()) : at::Tensor(),
                         vector_gradient(with_vectors), vector_gradient(with_vectors),
                         vector_gradient(with_vectors && gated)};
  const at::Tensor partial = scratch_for(shape, gated ? 3 : 2);
  kernels::adaptive_norm_backward({.dy = elements(from.dy),
                                   .x = elements(from.x),
                                   .weight = floats(in.weight),
                                   .mean = floats(from.mean),
                                   .rstd = floats(from.rstd),
                                   .dx_others = elements(from.dx_others),
                                   .branch = gated ? elements(in.branch) : nullptr,
                                   .gate = floats(in.gate),
                                   .dx = elements(out.dx),
                                   .dbranch = elements(out.dbranch),
                                   .dweight = floats(out.dweight),
                                   .dbias = floats(out.dbias),
                                   .dgate = floats(out.dgate),
                                   .partial = floats(partial),
                                   .shape = shape});
  return out;
}

// The formulas of adaptive_norm.h in float64.
Gradients reference(const Inputs& in, const Received& from, const kernels::RowShape& shape) {
  const at::Tensor dy = exact(from.dy), rstd = exact(from.rstd).unsqueeze(1);
  const at::Tensor normed = (exact(from.x) - exact(from.mean).unsqueeze(1)) * rstd;
  const at::Tensor g = dy * for_every_row(in.weight, shape);
  at::Tensor dx = rstd * (g - g.mean(1, true) - normed * (g * normed).mean(1, true));
  if (from.dx_others.defined()) dx = dx + exact(from.dx_others);
  Gradients out = {dx, {}, sum_of_rows(dy * normed, shape), sum_of_rows(dy, shape), {}};
  if (in.gate.defined()) {
    out.dbranch = dx * for_every_row(in.gate, shape);
    out.dgate = sum_of_rows(dx * exact(in.branch), shape);
  }
  return out;
}

void expect_backward(const kernels::RowShape& shape, Residual residual, bool others) {
  const Inputs in = draw(shape, residual);
  const Received from = receive(in, others);
  const Gradients actual = backward(in, from, shape, /*with_vectors=*/true), expected = reference(in, from, shape);
  EXPECT_TRUE(rounded_from(actual.dx, expected.dx));
  EXPECT_TRUE(float_of(actual.dweight, expected.dweight));
  EXPECT_TRUE(float_of(actual.dbias, expected.dbias));
  const Gradients rows_only = backward(in, from, shape, /*with_vectors=*/false);
  EXPECT_TRUE(at::equal(rows_only.dx, actual.dx));
  if (!in.gate.defined()) return;
  EXPECT_TRUE(rounded_from(actual.dbranch, expected.dbranch));
  EXPECT_TRUE(float_of(actual.dgate, expected.dgate));
  EXPECT_TRUE(at::equal(rows_only.dbranch, actual.dbranch));
}

TEST(AdaptiveNormGpu, BackwardIsWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const kernels::RowShape& shape : kRowShapes)
    for (const Residual residual : {Residual::kNone, Residual::kGatedBranch})
      for (const bool others : {false, true}) {
        SCOPED_TRACE(name_of(shape) + (others ? ", other gradients of x" : ""));
        expect_backward(shape, residual, others);
      }
}

}  // namespace
}  // namespace moga::test
