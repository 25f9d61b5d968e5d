// The fused kernels behind norm.h and linear.h, forward and backward, against float64: at most twice the error of plain
// ATen operations in bfloat16 (the same functions on the CPU).
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "moga/core/device.h"
#include "moga/model/layers/linear.h"
#include "moga/model/layers/norm.h"
#include "moga/model/layers/qk_norm.h"
#include "moga/model/layers/rope.h"
#include "moga/model/vae/layers.h"
#include "tests/support/compare.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

using Tensors = std::vector<at::Tensor>;
using Operation = std::function<at::Tensor(const Tensors&)>;

constexpr double kEps = 1e-6;
// Two videos of one size and one of another: two spans, the second of fewer rows than a CTA has teams.
const Layout kLayout = {{{7, 10, 13, {7}}, {7, 10, 13, {7}}, {1, 1, 3, {1}}}};

// The operation's output and the gradients of all inputs under a fixed pull, on the CPU in float64. The first `rows`
// inputs are given in `dtype`, the rest in float32 (float64 with float64).
Tensors run(const Operation& operation, const Tensors& inputs, size_t rows, c10::Device device, at::ScalarType dtype) {
  Tensors leaves;
  for (size_t i = 0; i < inputs.size(); ++i)
    leaves.push_back(inputs[i].to(device, i < rows ? dtype : wide(dtype), false, /*copy=*/true).requires_grad_());
  const at::Tensor output = operation(leaves);
  torch::manual_seed(7);
  output.backward(at::randn(output.sizes(), at::kDouble).to(at::kBFloat16).to(device, output.scalar_type()));
  Tensors results = {output.detach().cpu().to(at::kDouble)};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad().cpu().to(at::kDouble));
  return results;
}

void expect_as_good_as_plain(const Operation& operation, Tensors inputs, size_t rows) {
  for (size_t i = 0; i < rows; ++i) inputs[i] = inputs[i].to(at::kBFloat16);
  const Tensors fused = run(operation, inputs, rows, at::kCUDA, at::kBFloat16);
  const Tensors plain = run(operation, inputs, rows, at::kCPU, at::kBFloat16);
  const Tensors exact = run(operation, inputs, rows, at::kCPU, at::kDouble);
  for (size_t i = 0; i < exact.size(); ++i)
    EXPECT_TRUE(test::as_good_as(fused[i], plain[i], exact[i])) << "result " << i;
}

const int64_t kWidths[] = {64, 320, 1536, 5120};

TEST(NormGpu, ScaledNorm) {
  MOGA_NEEDS_GPU();
  for (const int64_t width : kWidths)
    expect_as_good_as_plain(
        [](const Tensors& x) { return scaled_norm(x[0], x[1], x[2], video_segments(kLayout), kEps); },
        {at::randn({kLayout.tokens(), width}) * 3 + 1, at::randn({3, width}) + 1, at::randn({3, width})}, 1);
}

TEST(NormGpu, GatedResidual) {
  MOGA_NEEDS_GPU();
  for (const int64_t width : kWidths)
    expect_as_good_as_plain(
        [](const Tensors& x) { return gated_residual(x[0], x[1], x[2], video_segments(kLayout)); },
        {at::randn({kLayout.tokens(), width}), at::randn({kLayout.tokens(), width}), at::randn({3, width})}, 2);
}

// Compares the residual's sum and its norm; the inputs are x, branch, gate, weight and bias, as far as defined.
at::Tensor residual_and_norm(const Tensors& x) {
  const Residual residual = {x[0], x.size() > 3 ? x[1] : at::Tensor(), x.size() > 4 ? x[4] : at::Tensor()};
  const size_t weight = x.size() > 3 ? 2 : 1;
  const Normed normed = residual_norm(residual, x[weight], x[weight + 1], video_segments(kLayout), kEps);
  return at::cat({normed.x, normed.y}, 1);
}

TEST(NormGpu, ResidualNorm) {
  MOGA_NEEDS_GPU();
  for (const int64_t width : kWidths) {
    const at::Tensor x = at::randn({kLayout.tokens(), width}) * 3 + 1, branch = at::randn({kLayout.tokens(), width});
    const at::Tensor weight = at::randn({3, width}) + 1, bias = at::randn({3, width}), gate = at::randn({3, width});
    expect_as_good_as_plain(residual_and_norm, {x, branch, weight, bias, gate}, 2);
    expect_as_good_as_plain(residual_and_norm, {x, branch, weight, bias}, 2);
    expect_as_good_as_plain(residual_and_norm, {x, weight, bias}, 1);
  }
}

TEST(NormGpu, ResidualNormWhoseSumNobodyReads) {
  MOGA_NEEDS_GPU();
  expect_as_good_as_plain(
      [](const Tensors& x) {
        return residual_norm({x[0], x[1], x[4]}, x[2], x[3], video_segments(kLayout), kEps).y;
      },
      {at::randn({kLayout.tokens(), 320}), at::randn({kLayout.tokens(), 320}), at::randn({3, 320}) + 1,
       at::randn({3, 320}), at::randn({3, 320})},
      2);
}

void expect_qk_norm(int64_t heads, int64_t head_dim, bool turned) {
  QkNorm norm(heads * head_dim, kEps);
  const auto operation = [&](const Tensors& x) {
    norm->weight = x[1];
    const at::Tensor table =
        turned ? rotary_table(kLayout, head_dim, x[0].device(), wide(x[0].scalar_type())) : at::Tensor();
    return norm(x[0], table, heads);
  };
  const int64_t width = heads * head_dim;
  expect_as_good_as_plain(operation, {at::randn({kLayout.tokens(), width}) * 2, at::randn({width}) + 1}, 1);
}

TEST(NormGpu, QkNormAndTurn) {
  MOGA_NEEDS_GPU();
  for (const bool turned : {true, false})
    for (const auto& [heads, head_dim] : {std::pair{5, 64}, {12, 128}, {40, 128}, {2, 24}})
      expect_qk_norm(heads, head_dim, turned);
}

TEST(NormGpu, ChannelNormAndSilu) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  for (const int64_t channels : {16, 32, 64, 96, 192, 384, 640})
    for (const bool silu : {true, false}) {
      ChannelNorm norm(channels);
      norm->parameters()[0].normal_(1.0, 0.3);
      const at::Tensor x = (at::randn({2, channels, 3, 7, 11}) * 3).to(at::kBFloat16);
      const auto run = [&](c10::Device device, at::ScalarType dtype) {
        norm->to(device);
        const at::Tensor input = x.to(device, dtype).contiguous(at::MemoryFormat::ChannelsLast3d);
        return (silu ? norm->with_silu(input) : norm(input)).cpu();
      };
      const at::Tensor fused = run(at::kCUDA, at::kBFloat16), plain = run(at::kCPU, at::kBFloat16);
      EXPECT_TRUE(test::as_good_as(fused, plain, run(at::kCPU, at::kDouble))) << channels << " channels";
    }
}

Linear linear_of(const at::Tensor& weight, const at::Tensor& bias) {
  Linear layer(weight.size(1), weight.size(0));
  layer->weight = weight;
  layer->bias = bias;
  return layer;
}

TEST(NormGpu, LinearsBiasGradient) {
  MOGA_NEEDS_GPU();
  for (const int64_t width : {64, 896})
    expect_as_good_as_plain([](const Tensors& x) { return linear_of(x[1], x[2])(x[0]); },
                            {at::randn({66001, 16}), at::randn({width, 16}) / 4, at::randn({width})}, 1);
}

at::Tensor mlp_of(const Tensors& x) {  // x, then weight and bias of both products
  Mlp mlp(x[1].size(1), x[1].size(0), x[3].size(0), Activation::kGeluTanh);
  mlp->first->weight = x[1], mlp->first->bias = x[2];
  mlp->second->weight = x[3], mlp->second->bias = x[4];
  return mlp(x[0]);
}

Tensors mlp_inputs(int64_t rows, int64_t width, int64_t hidden) {
  return {at::randn({rows, width}), at::randn({hidden, width}) / std::sqrt(double(width)), at::randn({hidden}),
          at::randn({width, hidden}) / std::sqrt(double(hidden)), at::randn({width})};
}

TEST(NormGpu, MlpWithGeluInItsProducts) {
  MOGA_NEEDS_GPU();
  expect_as_good_as_plain(mlp_of, mlp_inputs(1, 64, 256), 1);
  expect_as_good_as_plain(mlp_of, mlp_inputs(3001, 320, 1280), 1);
  expect_as_good_as_plain(mlp_of, mlp_inputs(517, 1536, 8960), 1);
}

// The error of another backward pass through a graph that is gone; "" when it runs.
std::string error_of_backward(const at::Tensor& loss, const Tensors& inputs) {
  try {
    torch::autograd::grad({loss}, inputs);
  } catch (const c10::Error& error) {
    return error.what();
  }
  return "";
}

TEST(NormGpu, MlpRunsBackwardTwiceWhereTheGraphIsKept) {
  MOGA_NEEDS_GPU();
  Tensors leaves;
  for (const at::Tensor& x : mlp_inputs(129, 64, 256))
    leaves.push_back(x.to(at::kCUDA, at::kBFloat16).requires_grad_());
  const at::Tensor loss = mlp_of(leaves).sum(at::kFloat);
  const auto first = torch::autograd::grad({loss}, leaves, {}, /*retain_graph=*/true);
  const auto second = torch::autograd::grad({loss}, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) EXPECT_TRUE(at::equal(first[i], second[i])) << i;
  const std::string error = error_of_backward(loss, leaves);
  EXPECT_EQ(error.find("Trying to backward through the graph a second time"), 0u) << error;
}

TEST(NormGpu, LinearsOfOneX) {
  MOGA_NEEDS_GPU();
  const auto operation = [](const Tensors& x) {
    std::vector<Linear> products;
    for (size_t i = 1; i < x.size(); i += 2) products.push_back(linear_of(x[i], x[i + 1]));
    return at::cat(linears(x[0], products), 1);
  };
  const auto weight = [](int64_t out) { return at::randn({out, 320}) / 18; };
  expect_as_good_as_plain(operation,
                          {at::randn({3001, 320}), weight(320), at::randn({320}), weight(320), at::randn({320}),
                           weight(64), at::randn({64})},
                          1);
}

}  // namespace
}  // namespace moga
