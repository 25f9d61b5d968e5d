// Rows in and out of group order, mean and sum of branches by our CUDA kernels, against float64 on the CPU: at most
// twice the error of plain ATen operations in bfloat16.
#include "moga/attention/row_kernels.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "moga/attention/branch_mean.h"
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

constexpr int64_t kTokens = 66001;

// Branch orders of the same tokens: shuffled, as they are, shuffled.
std::vector<Rows> orders(size_t count, c10::Device device) {
  std::vector<Rows> rows;
  for (size_t b = 0; b < count; ++b) {
    torch::manual_seed(static_cast<uint64_t>(b));
    const at::Tensor index = at::randperm(kTokens, at::kLong);
    std::vector<int64_t> host;
    if (b != 1) host.assign(index.data_ptr<int64_t>(), index.data_ptr<int64_t>() + kTokens);
    rows.push_back(make_rows({kTokens - 7, 0, 7}, host, device));
  }
  return rows;
}

// Mean, gradients of the branches and of the gate, on the CPU.
std::vector<at::Tensor> mean_and_gradients(std::vector<at::Tensor> branches, at::Tensor dy, at::Tensor gate,
                                           c10::Device device, at::ScalarType dtype) {
  for (at::Tensor& branch : branches) branch = branch.to(device, dtype);
  if (gate.defined()) gate = gate.to(device, dtype == at::kDouble ? at::kDouble : at::kFloat);
  dy = dy.to(device, dtype);
  const std::vector<Rows> rows = orders(branches.size(), device);
  std::vector<at::Tensor> results = {branch_mean(branches, rows, gate, kTokens)};
  const BranchMeanGradients gradients = branch_mean_backward(dy, branches.back(), rows, gate);
  results.insert(results.end(), gradients.branches.begin(), gradients.branches.end());
  if (gate.defined()) results.push_back(gradients.gate);
  for (at::Tensor& result : results) result = result.cpu();
  return results;
}

TEST(RowKernelsGpu, MeanOfBranches) {
  MOGA_NEEDS_GPU();
  for (const size_t count : {1, 2, 3})
    for (const bool gated : {true, false}) {
      const std::vector<at::Tensor> all = {random({kTokens, 3, 64}), random({kTokens, 3, 64}),
                                           random({kTokens, 3, 64})};
      const std::vector<at::Tensor> branches(all.begin(), all.begin() + static_cast<ptrdiff_t>(count));
      const at::Tensor gate = gated ? at::rand({kTokens}) : at::Tensor(), dy = random({kTokens, 3, 64});
      const auto fused = mean_and_gradients(branches, dy, gate, at::kCUDA, at::kBFloat16);
      const auto plain = mean_and_gradients(branches, dy, gate, at::kCPU, at::kBFloat16);
      const auto exact = mean_and_gradients(branches, dy, gate, at::kCPU, at::kDouble);
      for (size_t i = 0; i < exact.size(); ++i)
        EXPECT_TRUE(test::as_good_as(fused[i], plain[i], exact[i])) << count << " branches, result " << i;
    }
}

TEST(RowKernelsGpu, SumOfBranches) {
  MOGA_NEEDS_GPU();
  const at::Tensor index = at::randint(kTokens - 100, {80000}, at::kLong);
  const std::vector<int64_t> host(index.data_ptr<int64_t>(), index.data_ptr<int64_t>() + index.numel());
  const std::vector<at::Tensor> parts = {random({kTokens, 192}), random({kTokens, 192}), random({80000, 192})};
  for (const size_t count : {1, 2, 3}) {
    const auto sum = [&](c10::Device device, at::ScalarType dtype) {
      std::vector<Rows> rows = orders(2, device);
      rows.push_back(make_rows({50000, 30000}, host, device));
      rows.erase(rows.begin(), rows.end() - static_cast<ptrdiff_t>(count));
      std::vector<at::Tensor> own;
      for (size_t b = parts.size() - count; b < parts.size(); ++b) own.push_back(parts[b].to(device, dtype));
      return sum_rows(own, rows, kTokens).cpu();
    };
    EXPECT_TRUE(
        test::as_good_as(sum(at::kCUDA, at::kBFloat16), sum(at::kCPU, at::kBFloat16), sum(at::kCPU, at::kDouble)));
  }
}

}  // namespace
}  // namespace moga
