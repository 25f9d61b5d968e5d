// A recorded pass and its replay: the bits of a plain pass, without a second forward pass of the backend.
#include "moga/attention/attention_memory.h"

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "tests/attention/branch_cases.h"
#include "tests/support/error.h"

namespace moga::test {
namespace {

Tensors leaves(at::ScalarType dtype) {
  Tensors in;
  for (const at::Tensor& x : branch_inputs(2, 16)) in.push_back(x.to(dtype).requires_grad_());
  return in;
}

// The output and the gradients of all inputs that have one.
Tensors results(const Tensors& in, const at::Tensor& output) {
  const at::Tensor grad = branch_random({kBranchTokens, 2, 16}, 99).to(output.scalar_type());
  Tensors found = {output};
  for (const at::Tensor& x : torch::autograd::grad({output}, in, {grad}, std::nullopt, false, /*allow_unused=*/true))
    if (x.defined()) found.push_back(x);
  return found;
}

void expect_replay_equals_plain(const VisualAttentionConfig& config, at::ScalarType dtype) {
  const Tensors in = leaves(dtype);
  AttentionMemory memory;
  {
    const torch::NoGradGuard no_grad;
    run_branches(in, config, &memory);
  }
  memory.replay();
  const Tensors actual = results(in, run_branches(in, config, &memory)), plain = results(in, run_branches(in, config));
  EXPECT_TRUE(memory.empty());
  ASSERT_EQ(actual.size(), plain.size());
  for (size_t i = 0; i < plain.size(); ++i)
    EXPECT_TRUE(at::equal(actual[i], plain[i])) << name_of(config.combine) << ", " << name_of(config.gate) << ", " << i;
}

TEST(AttentionMemory, ReplayHasTheBitsOfAPlainPass) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble})  // float64: by the reference
    for (const Combine combine : {Combine::kMean, Combine::kLse})
      for (const Gate gate : {Gate::kNone, Gate::kProbability, Gate::kStraightThrough})
        expect_replay_equals_plain(combined_config(combine, gate), dtype);
}

TEST(AttentionMemory, ReplayOfFullAttentionHasTheBitsOfAPlainPass) {
  VisualAttentionConfig config = combined_config(Combine::kMean, Gate::kNone);
  config.kind = AttentionKind::kFull;
  expect_replay_equals_plain(config, at::kFloat);
}

// With other values in the replay, outputs are still the recorded ones.
TEST(AttentionMemory, ReplayDoesNotRunTheBackend) {
  for (const Combine combine : {Combine::kMean, Combine::kLse}) {
    const VisualAttentionConfig config = combined_config(combine, Gate::kProbability);
    Tensors in = leaves(at::kFloat);
    AttentionMemory memory;
    const at::Tensor first = run_branches(in, config, &memory).detach();
    memory.replay();
    in[2] = at::zeros_like(in[2]).requires_grad_();
    EXPECT_TRUE(at::equal(run_branches(in, config, &memory), first)) << name_of(combine);
  }
}

TEST(AttentionMemory, CallsTakeTheirRecordsInOrder) {
  const Tensors in = leaves(at::kFloat);
  const Grouping frames = frame_groups(kBranchLayout, at::kCPU), full = full_groups(kBranchLayout, at::kCPU);
  AttentionMemory memory;
  const auto pass = [&](const Grouping& grouping) {
    return attend(in[0], in[1], in[2], grouping, AttentionBackend::kCpu, &memory).output.detach();
  };
  const at::Tensor first = pass(frames), second = pass(full);
  EXPECT_EQ(memory.bytes(), 2 * kBranchTokens * 2 * (16 + 1) * 4);  // output and lse of two calls
  memory.replay();
  EXPECT_TRUE(at::equal(pass(frames), first));
  EXPECT_TRUE(at::equal(pass(full), second));
  EXPECT_EQ(memory.bytes(), 0);
}

TEST(AttentionMemory, RefusesACallThatIsNotItsRecords) {
  const Tensors in = leaves(at::kFloat);
  AttentionMemory memory;
  run_branches(in, combined_config(Combine::kMean, Gate::kNone), &memory);
  memory.replay();
  const auto message = [&] {
    return error_of(
        [&] { attend(in[0], in[1], in[2], full_groups(kBranchLayout, at::kCPU), AttentionBackend::kCpu, &memory); });
  };
  EXPECT_NE(message().find("3 branches with output [42, 2, 16] is not that of a call with 1 branches"),
            std::string::npos);
  EXPECT_NE(message().find("has no record"), std::string::npos);
}

}  // namespace
}  // namespace moga::test
