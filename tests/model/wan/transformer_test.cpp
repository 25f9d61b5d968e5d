// The transformer as a whole: parity with diffusers, packed batches, shots, gradients, precision.
#include "moga/model/wan/transformer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>

#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

using test::alone;
using test::as_good_as;
using test::close;
using test::full_attention;
using test::random_input;
using test::random_transformer;
using test::small_config;

const VideoShape kOneShot = {.frames = 3, .rows = 3, .columns = 4, .shot_frames = {}};
const VideoShape kTwoShots = {.frames = 5, .rows = 2, .columns = 3, .shot_frames = {3, 2}};

class TransformerTest : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(3); }
};

// The parameters of `from`, by name; both models have the same ones except routers.
void copy_parameters(Transformer& to, const Transformer& from) {
  const at::NoGradGuard no_grad;
  const TensorMap source = named_tensors(*from);
  for (auto& [name, tensor] : named_tensors(*to)) tensor.copy_(source.at(name));
}

VideoModelInput on_device(VideoModelInput input, c10::Device device) {
  for (at::Tensor& latent : input.latents) latent = latent.to(device);
  input.text = input.text.to(device);
  input.timestep = input.timestep.to(device);
  return input;
}

// The model and input of tools/make_fixtures_transformer.py.
struct DiffusersFixture {
  DiffusersFixture() {
    LoadOptions options;
    options.file_name_of = [](const std::string& name) { return "weights." + diffusers_name(name).value(); };
    load_parameters(*model, file, options);
    const at::Tensor latent = file.load("latent");  // [2, 4, 3, 6, 8]
    input = {.latents = {latent[0], latent[1]},
             .timestep = file.load("timestep"),
             .text = file.load("text"),
             .layout = {{kOneShot, kOneShot}}};
  }
  at::Tensor velocity(at::ScalarType dtype, at::Device device = at::kCPU) {
    const at::NoGradGuard no_grad;
    model->to(device);
    return at::stack(model->forward(on_device(input, device), dtype).velocity);
  }

  Safetensors file{MOGA_FIXTURES "/transformer.safetensors"};
  Transformer model{full_attention(small_config())};
  VideoModelInput input;
};

TEST_F(TransformerTest, AgreesWithDiffusers) {
  DiffusersFixture fixture;
  EXPECT_TRUE(close(fixture.velocity(at::kFloat), fixture.file.load("velocity"), 1e-5));
}

TEST_F(TransformerTest, LosesNoMoreInBFloat16ThanDiffusers) {
  DiffusersFixture fixture;  // float32 masters
  EXPECT_TRUE(as_good_as(fixture.velocity(at::kBFloat16), fixture.file.load("velocity_bfloat16"),
                         fixture.file.load("velocity"), 1.5));
}

TEST_F(TransformerTest, PackedVideosEqualEachAlone) {
  for (const TransformerConfig& config : {small_config(), full_attention(small_config())}) {
    Transformer model = random_transformer(config);
    const VideoModelInput input = random_input(config, {kTwoShots, kOneShot, kOneShot});
    const auto packed = model->forward(input, at::kFloat).velocity;
    for (size_t video = 0; video < packed.size(); ++video)
      EXPECT_TRUE(close(packed[video], model->forward(alone(input, video), at::kFloat).velocity[0], 1e-5)) << video;
  }
}

TEST_F(TransformerTest, PackedGradientsAreTheSumOfEachAlone) {
  const TransformerConfig config = full_attention(small_config());
  Transformer model = random_transformer(config);
  const VideoModelInput input = random_input(config, {kTwoShots, kOneShot, kOneShot});
  const auto loss = [&](const VideoModelInput& part) {
    at::Tensor sum = at::zeros({});
    for (const at::Tensor& velocity : model->forward(part, at::kFloat).velocity) sum = sum + velocity.square().sum();
    return sum;
  };
  loss(input).backward();
  std::vector<at::Tensor> packed;
  for (const at::Tensor& parameter : model->parameters()) packed.push_back(parameter.grad().clone());
  model->zero_grad();
  for (size_t video = 0; video < 3; ++video) loss(alone(input, video)).backward();
  for (size_t i = 0; i < packed.size(); ++i)
    EXPECT_TRUE(close(packed[i], model->parameters()[i].grad(), 1e-4)) << model->named_parameters().keys()[i];
}

TEST_F(TransformerTest, ACaptionReachesItsShotOnly) {
  TransformerConfig config = small_config();  // windows without boundary keys and frames keep shots apart
  config.moga.routed = false;
  config.moga.windows.boundary_frames = 0;
  Transformer model = random_transformer(config);
  VideoModelInput input = random_input(config, {kTwoShots});
  const at::Tensor before = model->forward(input, at::kFloat).velocity[0];
  input.text = input.text.clone();
  input.text[1].normal_();
  const at::Tensor change = (model->forward(input, at::kFloat).velocity[0] - before).abs();  // [C_z, F, Y', X']
  EXPECT_EQ(change.narrow(1, 0, 3).max().item<float>(), 0.0f);
  EXPECT_GT(change.narrow(1, 3, 2).amax({0, 2, 3}).min().item<float>(), 1e-4f);
}

TEST_F(TransformerTest, RoutedGroupsCarryACaptionToOtherShots) {
  Transformer model = random_transformer(small_config());
  VideoModelInput input = random_input(small_config(), {kTwoShots});
  const at::Tensor before = model->forward(input, at::kFloat).velocity[0];
  input.text = input.text.clone();
  input.text[1].normal_();
  const at::Tensor change = (model->forward(input, at::kFloat).velocity[0] - before).abs();
  EXPECT_GT(change.narrow(1, 0, 1).max().item<float>(), 0.0f);
}

TEST_F(TransformerTest, OneGroupWithoutGateAndStaticGroupsIsFullAttention) {
  TransformerConfig config = small_config();
  config.moga.groups = 1;
  config.moga.gate = Gate::kNone;
  config.moga.window = config.moga.frame = false;
  Transformer grouped = random_transformer(config);
  Transformer full(full_attention(config));
  copy_parameters(full, grouped);
  const VideoModelInput input = random_input(config, {kTwoShots, kOneShot});
  const auto expected = full->forward(input, at::kFloat).velocity;
  const auto velocity = grouped->forward(input, at::kFloat).velocity;
  for (size_t video = 0; video < 2; ++video) EXPECT_TRUE(close(velocity[video], expected[video], 1e-6));
}

TEST_F(TransformerTest, EveryParameterGetsAFiniteGradient) {
  Transformer model = random_transformer(small_config());
  const auto output = model->forward(random_input(small_config(), {kTwoShots, kOneShot}), at::kFloat);
  (output.velocity[0].square().mean() + output.velocity[1].square().mean() + output.balance_loss).backward();
  for (const auto& item : model->named_parameters()) {
    const at::Tensor gradient = item.value().grad();
    ASSERT_TRUE(gradient.defined()) << item.key();
    EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << item.key();
    // Adding a constant to all keys does not change a softmax, but the norm of keys is applied after their bias.
    EXPECT_GT(gradient.abs().max().item<float>(), 0.0f) << item.key();
  }
}

TEST_F(TransformerTest, DerivativeAlongADirectionIsThatOfFiniteDifferences) {
  TransformerConfig config = small_config();
  config.moga.backend = AttentionBackend::kReference;
  Transformer model = random_transformer(config);
  model->to(at::kDouble);
  VideoModelInput input = random_input(config, {kTwoShots, kOneShot});
  const auto loss = [&] {
    const auto output = model->forward(input, at::kDouble);
    return output.velocity[0].square().sum() + output.velocity[1].sin().sum() + output.balance_loss;
  };
  loss().backward();
  double expected = 0;
  std::vector<at::Tensor> direction;
  for (const at::Tensor& parameter : model->parameters()) {
    direction.push_back(at::randn_like(parameter));
    expected += (parameter.grad() * direction.back()).sum().item<double>();
  }
  const auto moved = [&](double length) {
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < direction.size(); ++i) model->parameters()[i].add_(direction[i], length);
    const double value = loss().item<double>();
    for (size_t i = 0; i < direction.size(); ++i) model->parameters()[i].sub_(direction[i], length);
    return value;
  };
  EXPECT_NEAR((moved(1e-6) - moved(-1e-6)) / 2e-6, expected, 1e-5 * std::abs(expected));
}

TEST_F(TransformerTest, TrainsAfterSamplingInInferenceMode) {
  Transformer model = random_transformer(small_config());
  const VideoModelInput input = random_input(small_config(), {kTwoShots});
  {
    const c10::InferenceMode sampling;
    model->forward(input, at::kFloat);
  }
  model->forward(input, at::kFloat).velocity[0].sum().backward();
  EXPECT_TRUE(model->parameters()[0].grad().defined());
}

TEST_F(TransformerTest, HistogramCountsEveryToken) {
  Transformer model = random_transformer(small_config());
  const auto output = model->forward(random_input(small_config(), {kTwoShots, kOneShot}), at::kFloat);
  EXPECT_EQ(output.group_histogram.sizes(), at::IntArrayRef({2, 3}));
  EXPECT_TRUE(at::equal(output.group_histogram.sum(1), at::full({2}, 30 + 36, at::kLong)));
  EXPECT_FALSE(random_transformer(full_attention(small_config()))
                   ->forward(random_input(small_config(), {kOneShot}), at::kFloat)
                   .balance_loss.defined());
}

TEST_F(TransformerTest, GateSumIsThatOfTheProbabilitiesOfTheChosenGroups) {
  Transformer model = random_transformer(small_config());  // 3 groups
  const at::NoGradGuard no_grad;
  for (const auto& item : model->named_parameters()) {
    if (item.key().ends_with("router.weight")) item.value().zero_();
    if (item.key().ends_with("router.bias")) item.value().zero_();
    if (item.key() == "blocks.1.self_attn.router.bias") item.value().copy_(at::tensor({0.0f, 1.0f, 0.0f}));
  }
  const at::Tensor gates = model->forward(random_input(small_config(), {kTwoShots, kOneShot}), at::kFloat).gate_sum;
  ASSERT_EQ(gates.sizes(), at::IntArrayRef({2}));
  EXPECT_NEAR(gates[0].item<double>(), 66 / 3.0, 1e-3);
  EXPECT_NEAR(gates[1].item<double>(), 66 * std::exp(1.0) / (std::exp(1.0) + 2), 1e-3);
}

// A model with the same weights and a different attention config; routers that it does not have are skipped.
Transformer same_weights(const Transformer& model, const TransformerConfig& config) {
  Transformer other(config);
  const at::NoGradGuard no_grad;
  const auto weights = model->named_parameters();
  for (auto& item : other->named_parameters()) item.value().copy_(weights[item.key()]);
  return other;
}

TEST_F(TransformerTest, AStepOrAllLayersOfFullAttentionIsTheFullModel) {
  Transformer model = random_transformer(small_config());
  TransformerConfig layers = small_config();
  layers.moga.full_layers = {1, 0};
  Transformer full = same_weights(model, full_attention(small_config())), by_layer = same_weights(model, layers);
  VideoModelInput input = random_input(small_config(), {kTwoShots, kOneShot});
  const at::Tensor expected = full->forward(input, at::kFloat).velocity[0];
  EXPECT_TRUE(at::equal(by_layer->forward(input, at::kFloat).velocity[0], expected));
  EXPECT_GT(test::difference(model->forward(input, at::kFloat).velocity[0], expected).relative, 1e-3);
  input.full_attention = true;
  const VideoModelOutput step = model->forward(input, at::kFloat);
  EXPECT_TRUE(at::equal(step.velocity[0], expected));
  EXPECT_FALSE(step.balance_loss.defined());
}

TEST_F(TransformerTest, OneFullLayerHasNoRouter) {
  TransformerConfig config = small_config();
  config.moga.full_layers = {0};
  Transformer model = random_transformer(config);
  EXPECT_FALSE(model->named_parameters().contains("blocks.0.self_attn.router.weight"));
  const auto output = model->forward(random_input(config, {kOneShot}), at::kFloat);
  EXPECT_EQ(output.group_histogram.sizes(), at::IntArrayRef({1, 3}));
  config.moga.full_layers = {2};
  EXPECT_EQ(test::error_of([&] { Transformer{config}; }), "transformer: full_layers has 2, the blocks are 0 to 1");
}

TEST_F(TransformerTest, MoreBlocksThanAnyModelHasAreRefused) {
  TransformerConfig config = small_config();
  config.num_layers = 1'000'000'000;
  EXPECT_EQ(test::error_of([&] { config.validate(); }),
            "transformer: num_layers is 1000000000, expected at most 10000");
}

TEST_F(TransformerTest, AnObserverSeesWhatEachLayerAttendsWith) {
  Transformer model = random_transformer(small_config());
  VideoModelInput input = random_input(small_config(), {kTwoShots});
  const at::Tensor plain = model->forward(input, at::kFloat).velocity[0];
  std::vector<int64_t> layers;
  input.observer = [&](int64_t layer, const at::Tensor& x, const at::Tensor& q, const at::Tensor& k,
                       const at::Tensor& v) {
    layers.push_back(layer);
    EXPECT_EQ(x.sizes(), at::IntArrayRef({input.layout.tokens(), 32}));
    for (const at::Tensor& rows : {q, k, v}) EXPECT_EQ(rows.sizes(), at::IntArrayRef({input.layout.tokens(), 2, 16}));
  };
  EXPECT_TRUE(at::equal(model->forward(input, at::kFloat).velocity[0], plain));
  EXPECT_EQ(layers, (std::vector<int64_t>{0, 1}));
}

TEST_F(TransformerTest, AWrongInputIsNamed) {
  Transformer model(small_config());
  VideoModelInput input = random_input(small_config(), {kOneShot});
  const auto error = [&] { return test::error_of([&] { model->forward(input, at::kFloat); }); };
  input.latents[0] = at::randn({4, 3, 6, 10});
  EXPECT_EQ(error(), "transformer: latent 0 is [4, 3, 6, 10], its layout says [4, 3, 6, 8]");
  input = random_input(small_config(), {kTwoShots});
  input.text = input.text.narrow(0, 0, 1);
  EXPECT_EQ(error(), "transformer: text [1, 8, 16], expected [2 (shots), 8, 16]");
}

TEST(TransformerGpu, LosesAtMostTwiceWhatDiffusersLosesInBFloat16) {
  MOGA_NEEDS_GPU();
  DiffusersFixture fixture;
  EXPECT_TRUE(as_good_as(fixture.velocity(at::kBFloat16, at::kCUDA), fixture.file.load("velocity_bfloat16"),
                         fixture.file.load("velocity")));
}

TEST(TransformerGpu, AgreesWithTheCpu) {
  MOGA_NEEDS_GPU();
  at::manual_seed(3);
  Transformer model = random_transformer(small_config());
  const VideoModelInput input = random_input(small_config(), {kTwoShots, kOneShot});
  const at::NoGradGuard no_grad;
  const auto expected = model->forward(input, at::kFloat).velocity;
  model->to(at::kCUDA);
  const auto velocity = model->forward(on_device(input, at::kCUDA), at::kBFloat16).velocity;
  // Routing is discrete: a token near a tie may change its group between precisions.
  for (size_t video = 0; video < 2; ++video) EXPECT_TRUE(close(velocity[video].cpu(), expected[video], 0.1));
}

// Of all parameters, by name, on the CPU.
std::map<std::string, at::Tensor> gradients(Transformer& model, const VideoModelInput& input, at::ScalarType dtype) {
  const auto output = model->forward(input, dtype);
  at::Tensor loss = output.balance_loss;
  for (const at::Tensor& velocity : output.velocity)
    loss = loss + (velocity * at::arange(velocity.numel(), velocity.options()).sin().view(velocity.sizes())).sum();
  model->zero_grad();
  loss.backward();
  std::map<std::string, at::Tensor> result;
  for (const auto& item : model->named_parameters()) result[item.key()] = item.value().grad().cpu().clone();
  return result;
}

TEST(TransformerGpu, GradientsAreAsGoodAsTheCpus) {
  MOGA_NEEDS_GPU();
  at::manual_seed(4);
  Transformer model = random_transformer(small_config());
  const at::NoGradGuard no_grad;
  for (const auto& item : model->named_parameters())  // no ties: rounding must not move a token to another group
    if (item.key().ends_with("router.weight")) item.value().zero_();
  const at::AutoGradMode with_gradients(true);
  const VideoModelInput input = random_input(small_config(), {kTwoShots, kOneShot});
  const auto exact = gradients(model, input, at::kFloat), plain = gradients(model, input, at::kBFloat16);
  model->to(at::kCUDA);
  for (const auto& [name, gradient] : gradients(model, on_device(input, at::kCUDA), at::kBFloat16))
    EXPECT_TRUE(as_good_as(gradient, plain.at(name), exact.at(name), 2.0, 1e-3)) << name;
}

}  // namespace
}  // namespace moga
