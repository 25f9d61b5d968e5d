// The router's pass over the tokens and its gradients, against float64; ties and NaN.
#include "moga/kernels/router.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/device_tensors.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

struct Case {
  int64_t tokens;
  int32_t columns, groups;
};
constexpr Case kCases[] = {{1, 8, 1},       {70001, 64, 5}, {3001, 320, 8}, {1003, 1536, 20},
                           {503, 5120, 33}, {3001, 8, 64},  {2, 1536, 24}};

struct Routing {
  at::Tensor probabilities, group, top;
};

Routing run(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const int64_t tokens = x.size(0), groups = weight.size(0);
  const Routing out = {unwritten({tokens, groups}, at::kFloat), at::full({tokens}, -1, on_gpu(at::kLong)),
                       unwritten({tokens}, at::kFloat)};
  kernels::route({.x = elements(x),
                  .weight = floats(weight),
                  .bias = floats(bias),
                  .probabilities = floats(out.probabilities),
                  .group = pointer<int64_t>(out.group),
                  .top = floats(out.top),
                  .groups = static_cast<int32_t>(groups),
                  .shape = {1, tokens, static_cast<int32_t>(x.size(1))}});
  return {out.probabilities.cpu(), out.group.cpu(), out.top.cpu()};
}

at::Tensor draw_weight(const Case& c) {
  return random_on_gpu({c.groups, c.columns}, at::kFloat, 1 / std::sqrt(static_cast<double>(c.columns)));
}

// The group is checked against the kernel's own probabilities: near ties may fall to either side of float64's.
TEST(RouterKernelGpu, ProbabilitiesAndTheLargest) {
  MOGA_NEEDS_GPU();
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::to_string(c.columns) + " columns, groups " + std::to_string(c.groups));
    const at::Tensor x = random_on_gpu({c.tokens, c.columns}), weight = draw_weight(c);
    const at::Tensor bias = random_on_gpu({c.groups}, at::kFloat, 0.25);
    const Routing out = run(x, weight, bias);
    const at::Tensor expected = at::softmax(at::addmm(exact(bias), exact(x), exact(weight).t()), 1);
    EXPECT_TRUE(float_of(out.probabilities, expected));
    EXPECT_TRUE(at::equal(out.group, out.probabilities.argmax(1)));
    EXPECT_TRUE(at::equal(out.top, std::get<0>(out.probabilities.max(1))));
  }
}

TEST(RouterKernelGpu, TiesGoToTheLowestGroupAndNanToTheLast) {
  MOGA_NEEDS_GPU();
  const at::Tensor x = random_on_gpu({1000, 64}), weight = at::zeros({12, 64}, on_gpu(at::kFloat));
  const at::Tensor bias = at::zeros({12}, on_gpu(at::kFloat));
  bias.slice(0, 3, 9).fill_(1);
  x[5].fill_(NAN);
  const Routing out = run(x, weight, bias);
  at::Tensor expected = at::full({1000}, 3, at::kLong);
  expected[5] = 11;
  EXPECT_TRUE(at::equal(out.group, expected));
  EXPECT_TRUE(at::equal(out.top.isnan(), expected == 11));
}

struct Inputs {
  at::Tensor x, weight, probabilities, group, dprobabilities, dtop, dx_others;
};

Inputs draw_backward(const Case& c, bool every) {
  const at::Tensor p = at::softmax(at::randn({c.tokens, c.groups}), 1).to(on_gpu(at::kFloat));
  Inputs in = {
      random_on_gpu({c.tokens, c.columns}), draw_weight(c), p, p.cpu().argmax(1).to(on_gpu(at::kLong)), {}, {}, {}};
  in.dtop = random_on_gpu({c.tokens}, at::kFloat);
  if (every) {
    in.dprobabilities = random_on_gpu({c.tokens, c.groups}, at::kFloat);
    in.dx_others = random_on_gpu({c.tokens, c.columns});
  }
  return in;
}

struct Gradients {
  at::Tensor dx, dlogits, dweight;
};

Gradients backward(const Inputs& in, bool with_x) {
  const auto groups = static_cast<int32_t>(in.weight.size(0));
  const kernels::RowShape shape = {1, in.x.size(0), static_cast<int32_t>(in.x.size(1))};
  const Gradients out = {with_x ? unwritten(in.x.sizes()) : at::Tensor(),
                         unwritten(in.probabilities.sizes(), at::kFloat), unwritten(in.weight.sizes(), at::kFloat)};
  const at::Tensor partial = unwritten({static_cast<int64_t>(kernels::router_partial_sums(shape, groups))}, at::kFloat);
  kernels::route_backward({.x = elements(in.x),
                           .weight = floats(in.weight),
                           .probabilities = floats(in.probabilities),
                           .group = pointer<int64_t>(in.group),
                           .dprobabilities = floats(in.dprobabilities),
                           .dtop = floats(in.dtop),
                           .dx_others = elements(in.dx_others),
                           .dx = elements(out.dx),
                           .dlogits = floats(out.dlogits),
                           .dweight = floats(out.dweight),
                           .partial = floats(partial),
                           .groups = groups,
                           .shape = shape});
  return out;
}

// The formulas of router.h in float64.
Gradients reference(const Inputs& in) {
  const at::Tensor p = exact(in.probabilities), group = in.group.cpu().unsqueeze(1);
  at::Tensor d = at::zeros_like(p).scatter(1, group, exact(in.dtop).unsqueeze(1));
  if (in.dprobabilities.defined()) d = d + exact(in.dprobabilities);
  const at::Tensor dlogits = p * (d - (p * d).sum(1, true));
  const at::Tensor dx = at::matmul(dlogits, exact(in.weight));
  return {in.dx_others.defined() ? dx + exact(in.dx_others) : dx, dlogits, at::matmul(dlogits.t(), exact(in.x))};
}

TEST(RouterKernelGpu, GradientsAreWithinRounding) {
  MOGA_NEEDS_GPU();
  for (const Case& c : kCases)
    for (const bool every : {true, false}) {
      SCOPED_TRACE(std::to_string(c.columns) + " columns, groups " + std::to_string(c.groups));
      const Inputs in = draw_backward(c, every);
      const Gradients actual = backward(in, /*with_x=*/true), expected = reference(in);
      EXPECT_TRUE(float_of(actual.dlogits, expected.dlogits));
      EXPECT_TRUE(float_of(actual.dweight, expected.dweight));
      EXPECT_TRUE(rounded_from(actual.dx, expected.dx));
      EXPECT_TRUE(at::equal(actual.dweight, backward(in, /*with_x=*/false).dweight));
    }
}

}  // namespace
}  // namespace moga::test
