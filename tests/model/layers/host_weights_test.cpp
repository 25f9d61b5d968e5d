// Weights that rest on the host: the same bits awake, and a model that computes as without them.
#include "moga/model/layers/host_weights.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "tests/model/wan/transformer_cases.h"
#include "tests/support/folder.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

TEST(HostWeights, KeepTheirValuesAsleepAndAwake) {
  std::vector<at::Tensor> parameters = {at::empty({3, 5}), at::empty({7}, at::kBFloat16)};
  HostWeights weights(parameters, at::kCPU);
  parameters[0].fill_(2.5);
  parameters[1].fill_(-1);
  for (int i = 0; i < 2; ++i) {
    const void* asleep = parameters[0].data_ptr();
    weights.wake();
    EXPECT_NE(parameters[0].data_ptr(), asleep);
    EXPECT_TRUE(parameters[0].eq(2.5).all().item<bool>() && parameters[1].eq(-1).all().item<bool>());
    weights.rest();
    EXPECT_EQ(parameters[0].data_ptr(), asleep);
    EXPECT_TRUE(parameters[0].eq(2.5).all().item<bool>() && parameters[1].eq(-1).all().item<bool>());
  }
}

// The same model loaded both ways.
void expect_same_velocity(at::Device device, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  const test::Folder folder;
  const TransformerConfig config = test::small_config();
  save_transformer(folder.path(), test::random_transformer(config), dtype);
  Transformer whole = load_transformer(folder.path(), device, dtype);
  Transformer resting = load_transformer(folder.path(), {.device = device, .dtype = dtype, .rest_on_host = true});
  VideoModelInput input = test::random_input(config, {{3, 4, 3, {}}});
  input.latents[0] = input.latents[0].to(device);
  input.text = input.text.to(device);
  input.timestep = input.timestep.to(device);
  const at::Tensor expected = whole->forward(input, dtype).velocity[0];
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(resting->parameters()[0].is_cpu());
    resting->wake();
    EXPECT_EQ(resting->parameters()[0].device().type(), device.type());
    EXPECT_TRUE(at::equal(resting->forward(input, dtype).velocity[0], expected));
    resting->rest();
  }
}

TEST(HostWeights, OfAModelGiveTheSameBits) { expect_same_velocity(at::kCPU, at::kFloat); }

TEST(HostWeightsGpu, OfAModelGiveTheSameBits) {
  MOGA_NEEDS_GPU();
  expect_same_velocity(at::Device(at::kCUDA, 0), at::kBFloat16);
}

}  // namespace
}  // namespace moga
