// Recomputed blocks: the same bits as without recomputation, gradients for all inputs, each block run again once.
#include "moga/model/layers/recompute.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

#include "moga/attention/attention_memory.h"
#include "moga/core/check.h"
#include "moga/model/layers/linear.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

using Values = std::vector<at::Tensor>;

const VideoShape kOneShot = {.frames = 3, .rows = 3, .columns = 4, .shot_frames = {}};
const VideoShape kTwoShots = {.frames = 5, .rows = 2, .columns = 3, .shot_frames = {3, 2}};

const RecomputeConfig kConfigs[] = {{.mode = Recompute::kSelective, .offload_inputs = false},
                                    {.mode = Recompute::kSelective, .offload_inputs = true},
                                    {.mode = Recompute::kSelective, .offload_inputs = true, .selective_blocks = 1},
                                    {.mode = Recompute::kFull, .offload_inputs = false},
                                    {.mode = Recompute::kFull, .offload_inputs = true}};

struct TransformerRun {
  Transformer model;
  VideoModelInput input;

  explicit TransformerRun(TransformerConfig config, at::Device device = at::kCPU) : model(nullptr) {
    at::manual_seed(3);
    config.num_layers = 3;
    model = test::random_transformer(config);
    input = test::random_input(config, {kTwoShots, kOneShot});
    model->to(device);
    for (at::Tensor& latent : input.latents) latent = latent.to(device).requires_grad_();
    input.text = input.text.to(device).requires_grad_();
    input.timestep = input.timestep.to(device);
  }

  // Velocities, balance loss, and the gradients of latents, text and all parameters.
  Values operator()(const RecomputeConfig& config, at::ScalarType dtype) {
    model->set_recompute(config);
    const VideoModelOutput output = model->forward(input, dtype);
    at::Tensor loss = output.velocity[0].square().sum() + output.velocity[1].sin().sum();
    if (output.balance_loss.defined()) loss = loss + output.balance_loss;
    Values leaves = input.latents;
    leaves.push_back(input.text);
    for (const at::Tensor& parameter : model->parameters()) leaves.push_back(parameter);
    Values results = torch::autograd::grad({loss}, leaves);
    results.push_back(loss.detach());
    return results;
  }
};

void expect_same_bits(const TransformerConfig& config, at::ScalarType dtype, at::Device device = at::kCPU) {
  TransformerRun run(config, device);
  const Values expected = run({.mode = Recompute::kNone}, dtype);
  for (const RecomputeConfig& recompute : kConfigs) {
    const Values actual = run(recompute, dtype);
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(at::equal(actual[i], expected[i])) << describe(recompute) << ", result " << i;
  }
}

TEST(Recompute, GradientsHaveTheSameBitsInFloat32) {
  TransformerConfig lse = test::small_config();
  lse.moga.combine = Combine::kLse;
  for (const TransformerConfig& config : {test::small_config(), lse, test::full_attention(test::small_config())})
    expect_same_bits(config, at::kFloat);
}

TEST(Recompute, GradientsHaveTheSameBitsInBFloat16) { expect_same_bits(test::small_config(), at::kBFloat16); }

TEST(Recompute, GradientsHaveTheSameBitsWithTheReference) {
  TransformerConfig config = test::small_config();
  config.moga.backend = AttentionBackend::kReference;
  expect_same_bits(config, at::kFloat);
}

TEST(Recompute, ParametersAccumulateEachGradientOnce) {
  TransformerRun run(test::small_config());
  const auto accumulated = [&](Recompute mode) {
    run.model->set_recompute({.mode = mode});
    run.model->zero_grad();
    for (int piece = 0; piece < 2; ++piece)
      run.model->forward(run.input, at::kFloat).velocity[0].square().sum().backward();
    Values gradients;
    for (const at::Tensor& parameter : run.model->parameters()) gradients.push_back(parameter.grad().clone());
    return gradients;
  };
  const Values expected = accumulated(Recompute::kNone), actual = accumulated(Recompute::kFull);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::equal(actual[i], expected[i])) << i;
}

TEST(Recompute, FrozenBlocksPassTheGradientOn) {
  TransformerRun run(test::small_config());
  for (const auto& item : run.model->named_parameters())
    if (item.key().starts_with("blocks.")) item.value().set_requires_grad(false);
  const auto gradient = [&](Recompute mode) {
    run.model->set_recompute({.mode = mode});
    const at::Tensor loss = run.model->forward(run.input, at::kFloat).velocity[0].square().sum();
    return torch::autograd::grad({loss}, {run.input.latents[0]})[0];
  };
  EXPECT_TRUE(at::equal(gradient(Recompute::kFull), gradient(Recompute::kNone)));
}

// The error of another backward pass through a graph that is gone; "" when it runs.
std::string error_of_backward(const at::Tensor& loss, const Values& inputs) {
  try {
    torch::autograd::grad({loss}, inputs);
  } catch (const c10::Error& error) {
    return error.what();
  }
  return "";
}

TEST(Recompute, AGraphThatIsKeptCanBeUsedAgain) {
  TransformerRun run(test::small_config());
  for (const RecomputeConfig& config : kConfigs) {
    run.model->set_recompute(config);
    const at::Tensor loss = run.model->forward(run.input, at::kFloat).velocity[0].square().sum();
    const auto first = torch::autograd::grad({loss}, {run.input.text}, {}, /*retain_graph=*/true);
    EXPECT_TRUE(at::equal(first[0], torch::autograd::grad({loss}, {run.input.text})[0])) << describe(config);
    const std::string error = error_of_backward(loss, {run.input.text});
    EXPECT_EQ(error.find("Trying to backward through the graph a second time"), 0u)
        << describe(config) << ": " << error;
  }
}

TEST(Recompute, AnObserverSeesEachLayerOnce) {
  TransformerRun run(test::small_config());
  int calls = 0;
  run.input.observer = [&](int64_t, const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
    ++calls;
  };
  run({.mode = Recompute::kFull}, at::kFloat);
  EXPECT_EQ(calls, 3);
}

TEST(RecomputeGpu, GradientsHaveTheSameBitsInBFloat16) {
  MOGA_NEEDS_GPU();
  TransformerConfig config = test::small_config();
  config.attention_head_dim = 64;
  config.ffn_dim = 512;
  expect_same_bits(config, at::kBFloat16, at::kCUDA);
}

// Blocks y = tanh(linear(x)) that record their runs and their calls of BlockWeights.
struct Recorded : BlockWeights {
  bool resident() const override { return false; }
  bool trainable() const override { return true; }
  void enter(int64_t block, Pass pass) override { note(pass == Pass::kForward ? "enter" : "enter backward", block); }
  void leave(int64_t block, Pass pass) override { note(pass == Pass::kForward ? "leave" : "leave backward", block); }
  Values gradients(int64_t block, Values gradients) override {
    note("gradients", block);
    EXPECT_EQ(gradients.size(), 2u);
    return Values(gradients.size());  // put elsewhere
  }
  void note(const std::string& what, int64_t block) { calls.push_back(what + " " + std::to_string(block)); }
  std::vector<std::string> calls;
};

at::Tensor run_two(const std::vector<Linear>& layers, const std::shared_ptr<Recorded>& weights, at::Tensor x,
                   Recompute mode) {
  BlockRunner runner({.mode = mode}, 2, weights);
  for (int64_t i = 0; i < 2; ++i)
    x = runner.run(i, *layers[i],
                   [layer = layers[i], weights, i](const Values& inputs, const BlockRun& run) mutable {
                     weights->note(run.again ? "again" : "run", i);
                     return Values{at::tanh(layer(inputs[0]))};
                   },
                   {x})[0];
  return x;
}

TEST(BlockRunner, AsksForWeightsAroundEachPass) {
  std::vector<Linear> layers = {Linear(4, 4), Linear(4, 4)};
  for (Linear& layer : layers) layer->fill_xavier();
  const auto weights = std::make_shared<Recorded>();
  const at::Tensor x = at::randn({3, 4}).requires_grad_();
  run_two(layers, weights, x, Recompute::kFull).sum().backward();
  EXPECT_EQ(weights->calls,
            (std::vector<std::string>{"enter 0", "run 0", "leave 0", "enter 1", "run 1", "leave 1",      //
                                      "enter backward 1", "again 1", "gradients 1", "leave backward 1",  //
                                      "enter backward 0", "again 0", "gradients 0", "leave backward 0"}));
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(layers[0]->weight.grad().defined());
}

// Whether an activation of a block lives on after its forward pass.
bool keeps_activations(Recompute mode) {
  Linear layer(4, 4);
  layer->fill_xavier();
  std::optional<c10::weak_intrusive_ptr<c10::StorageImpl>> activation;
  BlockRunner runner({.mode = mode}, 1, std::make_shared<ResidentWeights>());
  const auto block = [&](const Values& inputs, const BlockRun&) {
    const at::Tensor hidden = at::sigmoid(layer(inputs[0]));
    activation.emplace(hidden.storage().getWeakStorageImpl());
    return Values{at::tanh(hidden)};
  };
  const Values outputs = runner.run(0, *layer, block, {at::randn({3, 4})});
  EXPECT_TRUE(outputs[0].requires_grad());
  return !activation->expired();
}

TEST(BlockRunner, KeepsNoActivationsThatItRecomputes) {
  EXPECT_TRUE(keeps_activations(Recompute::kNone));
  EXPECT_FALSE(keeps_activations(Recompute::kSelective));
  EXPECT_FALSE(keeps_activations(Recompute::kFull));
}

TEST(BlockRunner, OnlySelectiveReplaysAttention) {
  for (const Recompute mode : {Recompute::kFull, Recompute::kSelective}) {
    std::vector<std::string> runs;
    Linear layer(4, 4);
    layer->fill_xavier();
    BlockRunner runner({.mode = mode}, 1, std::make_shared<ResidentWeights>());
    const auto block = [&](const Values& inputs, const BlockRun& run) {
      runs.push_back(!run.memory ? "no memory" : run.memory->replaying() ? "replay" : "record");
      return Values{layer(inputs[0])};
    };
    runner.run(0, *layer, block, {at::randn({3, 4})})[0].sum().backward();
    const bool selective = mode == Recompute::kSelective;
    EXPECT_EQ(runs, selective ? (std::vector<std::string>{"record", "replay"})
                              : (std::vector<std::string>{"no memory", "no memory"}));
  }
}

TEST(BlockRunner, OfSomeSelectiveBlocksTheLastOnesKeepAttention) {
  Linear layer(4, 4);
  layer->fill_xavier();
  BlockRunner runner({.mode = Recompute::kSelective, .selective_blocks = 2}, 3, std::make_shared<ResidentWeights>());
  std::vector<bool> kept;
  const auto block = [&](const Values& inputs, const BlockRun& run) {
    kept.push_back(run.memory != nullptr);
    return Values{layer(inputs[0])};
  };
  Values x = {at::randn({3, 4})};
  for (int64_t i = 0; i < 3; ++i) x = runner.run(i, *layer, block, x);
  EXPECT_EQ(kept, (std::vector<bool>{false, true, true}));
}

TEST(BlockRunner, WhatCannotBeDoneIsNamed) {
  using test::error_of;
  std::vector<Linear> layers = {Linear(4, 4), Linear(4, 4)};
  const at::Tensor x = at::randn({3, 4}).requires_grad_();
  EXPECT_EQ(error_of([&] { run_two(layers, std::make_shared<Recorded>(), x, Recompute::kNone); }),
            "recompute: weights that are not resident need mode selective or full in training");
  EXPECT_EQ(error_of([&] { RecomputeConfig{.mode = Recompute::kNone, .offload_inputs = true}.validate(); }),
            "recompute: offload_inputs needs mode selective or full; with none all activations stay on the device");
  EXPECT_EQ(
      error_of([&] { RecomputeConfig{.mode = Recompute::kFull, .selective_blocks = 2}.validate(); }),
      "recompute: selective_blocks is 2 with mode full, which keeps no results of attention; expected mode selective");
  const RecomputeConfig three = {.mode = Recompute::kSelective, .selective_blocks = 3};
  EXPECT_EQ(error_of([&] { BlockRunner(three, 2, std::make_shared<ResidentWeights>()); }),
            "recompute: selective_blocks is 3, but the model has 2 blocks");
  const at::Tensor y = run_two(layers, std::make_shared<Recorded>(), x, Recompute::kFull).sum();
  EXPECT_EQ(error_of([&] { torch::autograd::grad({y}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true); }),
            "recompute: gradients of gradients are not available");
}

}  // namespace
}  // namespace moga
