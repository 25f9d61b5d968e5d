// The router's kernel, forward and backward, against float64 on the CPU: at most twice the error of the same router on
// the CPU, where its logits are float32 and the gradients of x are added by autograd.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "moga/attention/router.h"
#include "moga/core/device.h"
#include "tests/support/compare.h"
#include "tests/support/gpu.h"

namespace moga::test {
namespace {

using Tensors = std::vector<at::Tensor>;

Layout layout_of(int64_t tokens) { return {{{1, 1, tokens - 1, {1}}, {1, 1, 1, {1}}}}; }

// x, weight, bias; gradients of the x passed through, of the probabilities and of the gate.
Tensors inputs(int64_t tokens, int64_t width, int64_t groups) {
  torch::manual_seed(width + groups);
  return {at::randn({tokens, width}).to(at::kBFloat16),
          at::randn({groups, width}) / std::sqrt(double(width)),
          at::randn({groups}) / 4,
          at::randn({tokens, width}).to(at::kBFloat16),
          at::randn({tokens, groups}),
          at::randn({tokens})};
}

// Probabilities, gate, and the gradients of x, weight and bias, on the CPU.
Tensors run(const Tensors& in, c10::Device device, at::ScalarType dtype, Gate gate, bool others = true) {
  const at::ScalarType wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  Tensors own;
  for (size_t i = 0; i < in.size(); ++i) own.push_back(in[i].to(device, i % 3 == 0 ? dtype : wide, false, true));
  for (size_t i = 0; i < 3; ++i) own[i].requires_grad_();
  Router router(own[1].size(1), own[1].size(0), gate);
  router->weight = own[1];
  router->bias = own[2];
  const Routing routing = router->forward(own[0], layout_of(own[0].size(0)));
  at::Tensor loss = (routing.probabilities * own[4]).sum();
  if (routing.gate.defined()) loss = loss + (routing.gate * own[5]).sum();
  if (others) loss = loss + (routing.x * own[3]).sum(wide);
  loss.backward();
  Tensors results = {routing.probabilities};
  if (routing.gate.defined()) results.push_back(routing.gate);
  for (size_t i = 0; i < 3; ++i) results.push_back(own[i].grad());
  for (at::Tensor& result : results) result = result.detach().cpu();
  return results;
}

void expect_as_good(const Tensors& in, Gate gate, bool others = true) {
  const Tensors fused = run(in, at::kCUDA, at::kBFloat16, gate, others);
  const Tensors plain = run(in, at::kCPU, at::kBFloat16, gate, others);
  const Tensors exact = run(in, at::kCPU, at::kDouble, gate, others);
  for (size_t i = 0; i < exact.size(); ++i)
    EXPECT_TRUE(as_good_as(fused[i], plain[i], exact[i], 2.0, 1e-6))
        << in[1].sizes() << ", gate " << name_of(gate) << ", result " << i;
}

TEST(RouterGpu, IsAsGoodAsTheRouterOnTheCpu) {
  MOGA_NEEDS_GPU();
  for (const auto& [tokens, width, groups] : {std::tuple{3001, 64, 2},
                                              {3001, 320, 5},
                                              {1003, 1536, 5},
                                              {2, 1536, 8},
                                              {1003, 1536, 20},
                                              {503, 5120, 33},
                                              {3001, 8, 64},
                                              {70001, 128, 1}})
    expect_as_good(inputs(tokens, width, groups), Gate::kProbability);
}

TEST(RouterGpu, EveryGateAndXWithoutOtherConsumers) {
  MOGA_NEEDS_GPU();
  for (const Gate gate : {Gate::kNone, Gate::kStraightThrough}) expect_as_good(inputs(1003, 320, 5), gate);
  expect_as_good(inputs(1003, 320, 5), Gate::kProbability, /*others=*/false);
}

TEST(RouterGpu, TiesGoToTheLowestGroupAndNanToTheLast) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  Router router(64, 12);
  router->weight.zero_();
  router->bias.zero_();
  router->bias.slice(0, 3, 9).fill_(1.0);
  router->to(at::kCUDA);
  at::Tensor x = at::randn({1000, 64}, at::TensorOptions(at::kCUDA).dtype(at::kBFloat16));
  x[5] = NAN;
  const Routing routing = router->forward(x, layout_of(1000));
  at::Tensor expected = at::full({1000}, 3, at::kLong);
  expected[5] = 11;
  EXPECT_TRUE(at::equal(routing.group.cpu(), expected));
  EXPECT_TRUE(at::equal(routing.gate.isnan().cpu(), expected == 11));
}

}  // namespace
}  // namespace moga::test
