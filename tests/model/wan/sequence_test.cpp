// The transformer on ranks that share its videos against one process: velocity, balance loss, histogram and the
// gradients of all parameters, with every way of recomputation.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

const std::vector<VideoShape> kVideos = {{5, 4, 3, {2, 3}}, {3, 2, 4, {}}};

TransformerConfig config_of_test() {
  TransformerConfig config = small_config();
  config.num_attention_heads = 3;  // 2 and 4 ranks do not divide them
  config.num_layers = 3;
  config.moga.full_layers = {1};
  return config;
}

VideoModelInput input_of_test(const TransformerConfig& config) {
  VideoModelInput input = random_input(config, kVideos);
  for (at::Tensor& latent : input.latents) latent = latent.to(at::kDouble);
  input.text = input.text.to(at::kDouble);
  return input;
}

// Velocities, balance loss, histogram; then gates and the gradient of each parameter, summed over the ranks.
std::vector<at::Tensor> results(Transformer& model, VideoModelInput input, const ProcessGroup& ranks) {
  input.sequence = ranks;
  const VideoModelOutput output = model->forward(input, at::kDouble);
  at::Tensor loss = output.balance_loss;
  for (const at::Tensor& velocity : output.velocity) loss = loss + (velocity * velocity.detach().sin()).mean();
  std::vector<at::Tensor> all = output.velocity;
  all.insert(all.end(), {output.balance_loss, output.group_histogram});
  const at::Tensor gate_sum = output.gate_sum.clone();
  ranks.all_reduce(gate_sum);
  all.push_back(gate_sum);
  for (at::Tensor gradient : torch::autograd::grad({loss}, model->parameters())) {
    gradient = gradient.contiguous();
    ranks.all_reduce(gradient);
    all.push_back(gradient);
  }
  for (at::Tensor& tensor : all) tensor = tensor.detach();
  return all;
}

void expect_one_process(const ProcessGroup& world, const std::vector<std::vector<int64_t>>& given_frames) {
  at::manual_seed(3);
  const TransformerConfig config = config_of_test();
  Transformer model = random_transformer(config);
  model->to(at::kDouble);
  VideoModelInput input = input_of_test(config);
  input.given_frames = given_frames;
  const auto expected = results(model, input, ProcessGroup());
  std::vector<at::Tensor> first;
  for (const Recompute mode : {Recompute::kNone, Recompute::kFull, Recompute::kSelective}) {
    model->set_recompute({.mode = mode});
    const auto actual = results(model, input, world);
    if (first.empty()) first = actual;
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto same = close(actual[i], expected[i], 1e-9);
      check(static_cast<bool>(same), "result ", i, ", recompute ", name_of(mode), ": ", same.message());
      check(at::equal(actual[i], first[i]), "result ", i, ", recompute ", name_of(mode), ": other bits than none");
    }
  }
}

MOGA_RANKS(shared_transformer) { expect_one_process(world, {}); }
MOGA_RANKS(shared_transformer_with_given_frames) { expect_one_process(world, {{0, 2}, {1}}); }

TEST(TransformerOverRanks, WithGivenFramesEqualsOneProcess) {
  for (const int64_t ranks : {2, 4}) EXPECT_EQ(run_ranks("shared_transformer_with_given_frames", ranks).line, "");
}

TEST(TransformerOverRanks, EqualsOneProcess) {
  for (const int64_t ranks : {2, 3, 4}) EXPECT_EQ(run_ranks("shared_transformer", ranks).line, "") << ranks;
}

}  // namespace
}  // namespace moga::test
