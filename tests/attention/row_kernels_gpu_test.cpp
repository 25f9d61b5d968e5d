// Rows in and out of group order and the mean of branches by our CUDA kernels, against float64 on the CPU: at most twice
// the error of plain ATen operations in bfloat16.
#include "moga/attention/row_kernels.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "moga/attention/combine.h"
#include "moga/attention/rows.h"
#include "tests/support/compare.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

at::Tensor random(at::IntArrayRef shape) { return at::randn(shape).to(at::kBFloat16); }

TEST(RowKernelsGpu, ScatterUndoesGather) {
  MOGA_NEEDS_GPU();
  for (const int64_t count : {1, 1000, 66000}) {
    const int64_t total = 66000;
    const at::Tensor index = at::randperm(total, at::kLong).narrow(0, 0, count);
    const Rows rows = make_rows({count}, {index.data_ptr<int64_t>(), index.data_ptr<int64_t>() + count}, at::kCUDA);
    const at::Tensor x = random({total, 5, 64}).cuda();
    const at::Tensor back = scatter_rows(gather_rows(x, rows), rows, total);
    EXPECT_TRUE(at::equal(back, at::zeros_like(x).index_copy(0, rows.index, x.index_select(0, rows.index))));
  }
}

TEST(RowKernelsGpu, RepeatedRowsAddUpInOneOrder) {
  MOGA_NEEDS_GPU();
  const int64_t total = 5000;
  const at::Tensor index = at::randint(total - 100, {12000}, at::kLong);
  const std::vector<int64_t> host(index.data_ptr<int64_t>(), index.data_ptr<int64_t>() + index.numel());
  const Rows rows = make_rows({6000, 0, 6000}, host, at::kCUDA), on_host = make_rows({6000, 0, 6000}, host, at::kCPU);
  const at::Tensor x = random({12000, 12, 128});
  const at::Tensor sum = accumulate_rows(x.cuda(), rows, total);
  EXPECT_TRUE(test::as_good_as(sum.cpu(), accumulate_rows(x, on_host, total),
                               accumulate_rows(x.to(at::kDouble), on_host, total)));
  EXPECT_TRUE(at::equal(sum, accumulate_rows(x.cuda(), rows, total)));
}

std::vector<at::Tensor> mean_and_gradients(const std::vector<at::Tensor>& branches, const at::Tensor& gate,
                                           c10::Device device, at::ScalarType dtype) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& branch : branches) leaves.push_back(branch.to(device, dtype, false, /*copy=*/true).requires_grad_());
  at::Tensor weights;
  if (gate.defined()) weights = gate.to(device, dtype == at::kDouble ? at::kDouble : at::kFloat, false, true).requires_grad_();
  const at::Tensor y = combine_mean(leaves, weights);
  torch::manual_seed(3);
  y.backward(random(y.sizes()).to(device, dtype));
  std::vector<at::Tensor> results = {y.detach().cpu()};
  if (weights.defined()) leaves.push_back(weights);
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad().cpu());
  return results;
}

TEST(RowKernelsGpu, MeanOfBranches) {
  MOGA_NEEDS_GPU();
  for (const size_t count : {1, 2, 3})
    for (const bool gated : {true, false}) {
      const std::vector<at::Tensor> all = {random({3001, 5, 64}), random({3001, 5, 64}), random({3001, 5, 64})};
      const std::vector<at::Tensor> branches(all.begin(), all.begin() + static_cast<ptrdiff_t>(count));
      const at::Tensor gate = gated ? at::rand({3001}) : at::Tensor();
      const auto fused = mean_and_gradients(branches, gate, at::kCUDA, at::kBFloat16);
      const auto plain = mean_and_gradients(branches, gate, at::kCPU, at::kBFloat16);
      const auto exact = mean_and_gradients(branches, gate, at::kCPU, at::kDouble);
      for (size_t i = 0; i < exact.size(); ++i) EXPECT_TRUE(test::as_good_as(fused[i], plain[i], exact[i])) << i;
    }
}

}  // namespace
}  // namespace moga
