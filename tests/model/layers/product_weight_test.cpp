// Weights with low-rank updates and in 8 bits.
#include "moga/model/layers/product_weight.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/container/modulelist.h>

#include "moga/model/layers/linear.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/gradcheck.h"

namespace moga {
namespace {

Linear random_linear(int64_t in, int64_t out) {
  Linear layer(in, out);
  layer->fill_normal(0.5);
  layer->to(at::kDouble);
  return layer;
}

TEST(ProductWeight, AddsUpdatesInTheirOrder) {
  const at::NoGradGuard no_grad;
  Linear layer = random_linear(6, 5);
  const at::Tensor a = at::randn({2, 6}, at::kDouble), b = at::randn({5, 2}, at::kDouble),
                   c = at::randn({3, 6}, at::kDouble), d = at::randn({5, 3}, at::kDouble);
  layer->add_low_rank(a, b, 0.5);
  layer->add_low_rank(c, d, -2);
  const at::Tensor expected = layer->weight + 0.5 * b.mm(a) - 2 * d.mm(c);
  EXPECT_TRUE(test::close(layer->weight_in(at::kDouble), expected, 1e-14));
  EXPECT_EQ(layer->lora_down.size(0), 5);
  EXPECT_NE(test::error_of([&] { layer->add_low_rank(a, d, 1); }).find("for a weight of [5, 6]"), std::string::npos);
}

TEST(ProductWeight, ATrainedUpdateHasItsOwnGradientsAndTheBaseHasNone) {
  Linear layer = random_linear(6, 5);
  for (at::Tensor& parameter : layer->parameters()) parameter.requires_grad_(false);
  layer->add_low_rank(at::randn({2, 6}, at::kDouble), at::randn({5, 2}, at::kDouble), 0.7);
  const at::Tensor x = at::randn({4, 6}, at::kDouble);
  const auto y = [&](const test::Tensors& inputs) {
    layer->lora_down = inputs[1];
    layer->lora_up = inputs[2];
    return layer->forward(inputs[0]);
  };
  EXPECT_TRUE(test::gradcheck(y, {x, layer->lora_down.detach(), layer->lora_up.detach()}));
  EXPECT_FALSE(layer->weight.grad().defined());
}

TEST(ProductWeight, EightBitsWithAScaleAreNearTheWeight) {
  const at::NoGradGuard no_grad;
  Linear layer(64, 48);
  layer->fill_normal(0.3);
  const at::Tensor weight = layer->weight.clone();
  const Scaled8Bit bits = to_8_bits(weight);
  EXPECT_EQ(bits.values.nbytes() * 4, weight.nbytes());
  layer->store_in_8_bits({});
  layer->weight.copy_(bits.values);
  layer->weight_scale.copy_(bits.scale);
  EXPECT_LT(test::difference(layer->weight_in(at::kFloat), weight).relative, 0.03);  // 3 bits of mantissa
  EXPECT_EQ(layer->weight_in(at::kBFloat16).scalar_type(), at::kBFloat16);
  const Scaled8Bit again = to_8_bits(layer->weight_in(at::kFloat));
  EXPECT_TRUE(at::equal(again.values.view(at::kByte), bits.values.view(at::kByte)));
}

TEST(ProductWeight, ProductsInEightBitsAreNearThoseOfDequantisedWeights) {
  const at::NoGradGuard no_grad;
  torch::nn::ModuleList model;
  Linear layer(64, 48);
  model->push_back(layer);
  EXPECT_EQ(test::error_of([&] { use_8_bit_products(*model); }), "8-bit products: the model has no weights in 8 bits");
  layer->fill_normal(0.3);
  layer->bias.normal_();
  const Scaled8Bit bits = to_8_bits(layer->weight);
  layer->store_in_8_bits({});
  layer->weight.copy_(bits.values);
  layer->weight_scale.copy_(bits.scale);
  const at::Tensor x = at::randn({3, 7, 64}).to(at::kBFloat16), y = layer->forward(x);
  use_8_bit_products(*model);
  EXPECT_TRUE(layer->multiplies_8_bits(x));
  const double error = test::difference(layer->forward(x).to(at::kFloat), y.to(at::kFloat)).relative;
  EXPECT_LT(error, 0.05);
  EXPECT_GT(error, 0);
  layer->add_low_rank(at::ones({1, 64}), at::ones({48, 1}), 2);
  const at::Tensor more = layer->forward(x).to(at::kFloat) - 2 * x.to(at::kFloat).sum(-1, true);
  EXPECT_LT(test::difference(more, y.to(at::kFloat)).relative, 0.2);
}

TEST(ProductWeight, ScalesMayBePerRow) {
  const at::NoGradGuard no_grad;
  Linear layer(8, 3);
  layer->store_in_8_bits({3, 1});
  layer->weight.copy_(at::ones({3, 8}));
  layer->bias.zero_();
  layer->weight_scale.copy_(at::tensor({1.0, 2.0, 3.0}).unsqueeze(1));
  EXPECT_TRUE(at::equal(layer->forward(at::ones({1, 8})), at::tensor({8.0f, 16.0f, 24.0f}).unsqueeze(0)));
}

}  // namespace
}  // namespace moga
