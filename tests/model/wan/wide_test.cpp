// Transformers and VAEs at widths that the GPU kernels are made for, against diffusers (fixtures/wide.safetensors, by
// tools/make_fixtures_wide.py; Wan2.2-TI2V-5B's kind in wide_ti2v.safetensors, by make_fixtures_ti2v.py): float32 on
// the CPU is right, and bfloat16 on a GPU loses at most twice what diffusers' own bfloat16 loses.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <map>

#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "moga/model/vae/names.h"
#include "moga/model/wan/transformer.h"
#include "tests/model/vae/vae_fixture.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

using test::as_good_as;
using test::close;

// The numbers of one seed, as the tool draws them.
class Dice {
 public:
  explicit Dice(uint64_t seed) : generator_(at::globalContext().defaultGenerator(at::kCPU).clone()) {
    generator_.set_current_seed(seed);
  }
  // Uniform in [-1, 1), rounded to bfloat16.
  at::Tensor draw(at::IntArrayRef shape) { return (2 * at::rand(shape, generator_) - 1).to(at::kBFloat16); }

  // `weights` by their names in diffusers, drawn in that order.
  void draw_weights(const std::map<std::string, at::Tensor>& weights) {
    const at::NoGradGuard no_grad;
    for (const auto& [name, weight] : weights) {
      const auto inputs = static_cast<double>(weight.numel() / weight.size(0));
      const bool scales =
          name.ends_with("gamma") || (name.find("norm") != std::string::npos && name.ends_with("weight"));
      double bound = inputs == 1 ? 0.3 : std::sqrt(3 / inputs);
      if (name == "decoder.conv_out.weight") bound /= 8;
      const at::Tensor value = draw(weight.sizes()).to(at::kDouble) * bound + (inputs == 1 && scales ? 1.0 : 0.0);
      weight.copy_(value.to(at::kBFloat16));
    }
  }

 private:
  at::Generator generator_;
};

at::Tensor fixture(const std::string& name) { return Safetensors(MOGA_FIXTURES "/wide.safetensors").load(name); }
at::Tensor fixture_ti2v(const std::string& name) {
  return Safetensors(MOGA_FIXTURES "/wide_ti2v.safetensors").load(name);
}

struct WideTransformer {
  explicit WideTransformer(AttentionBackend backend) {
    TransformerConfig config;
    config.num_attention_heads = 2;
    config.attention_head_dim = 128;
    config.text_dim = 64;
    config.ffn_dim = 512;
    config.num_layers = 2;
    config.text_len = 16;
    config.moga.kind = AttentionKind::kFull;
    config.moga.backend = backend;
    model = Transformer(config);
    std::map<std::string, at::Tensor> weights;
    for (auto& [name, tensor] : named_tensors(*model)) weights[diffusers_name(name).value()] = tensor;
    Dice dice(1);
    dice.draw_weights(weights);
    latent = dice.draw({1, 16, 4, 12, 16});
    text = dice.draw({1, 16, 64});
  }
  at::Tensor velocity(at::Device device, at::ScalarType dtype, const std::vector<std::vector<int64_t>>& given = {}) {
    const at::NoGradGuard no_grad;
    model->to(device);
    const VideoShape shape = {.frames = 4, .rows = 6, .columns = 8, .shot_frames = {}};
    return model
        ->forward({.latents = {latent[0].to(device, at::kFloat)},
                   .timestep = at::full({1}, 619.0f, device),
                   .text = text.to(device, at::kFloat),
                   .layout = {{shape}},
                   .given_frames = given},
                  dtype)
        .velocity[0];
  }

  Transformer model{nullptr};
  at::Tensor latent, text;
};

TEST(Wide, TransformerAgreesWithDiffusers) {
  EXPECT_TRUE(
      close(WideTransformer(AttentionBackend::kAuto).velocity(at::kCPU, at::kFloat), fixture("velocity")[0], 1e-5));
}

const std::vector<std::vector<int64_t>> kGiven = {{0, 2}};

TEST(Wide, TransformerWithGivenFramesAgreesWithDiffusers) {
  const at::Tensor velocity = WideTransformer(AttentionBackend::kAuto).velocity(at::kCPU, at::kFloat, kGiven);
  EXPECT_TRUE(close(velocity, fixture_ti2v("velocity")[0], 1e-5));
  EXPECT_FALSE(close(velocity, fixture("velocity")[0], 1e-2));  // of the same input without given frames
}

TEST(WideGpu, TransformerWithGivenFramesLosesAtMostTwiceWhatDiffusersLoses) {
  MOGA_NEEDS_GPU();
  for (const AttentionBackend backend : {AttentionBackend::kSm90, AttentionBackend::kFlash}) {
    const at::Tensor velocity = WideTransformer(backend).velocity(at::kCUDA, at::kBFloat16, kGiven);
    EXPECT_TRUE(as_good_as(velocity, fixture_ti2v("velocity_bfloat16")[0], fixture_ti2v("velocity")[0]))
        << name_of(backend);
  }
}

TEST(WideGpu, TransformerLosesAtMostTwiceWhatDiffusersLoses) {
  MOGA_NEEDS_GPU();
  for (const AttentionBackend backend : {AttentionBackend::kSm90, AttentionBackend::kFlash}) {
    const at::Tensor velocity = WideTransformer(backend).velocity(at::kCUDA, at::kBFloat16);
    EXPECT_TRUE(as_good_as(velocity, fixture("velocity_bfloat16")[0], fixture("velocity")[0])) << name_of(backend);
  }
}

VaeConfig wide_vae() {
  VaeConfig config;
  config.base_dim = 32;
  config.dim_mult = {1, 2, 2, 1};
  config.num_res_blocks = 1;
  return config;
}

VaeConfig wide_vae22() {
  VaeConfig config;
  config.base_dim = 16;
  config.decoder_base_dim = 32;
  config.num_res_blocks = 1;
  config.is_residual = true;
  config.patch_size = 2;
  return config;
}

struct WideVae {
  WideVae(const VaeConfig& config, at::IntArrayRef clip_shape, at::IntArrayRef latent_shape) {
    vae = Vae(config);
    std::map<std::string, at::Tensor> weights;
    for (auto& [name, tensor] : named_tensors(*vae)) weights[diffusers_vae_name(name, config)] = tensor;
    Dice dice(2);
    dice.draw_weights(weights);
    clip = dice.draw(clip_shape);
    latent = dice.draw(latent_shape);
  }
  static WideVae wan21() { return {wide_vae(), {1, 3, 5, 32, 32}, {1, 16, 2, 4, 4}}; }
  static WideVae wan22() { return {wide_vae22(), {1, 3, 5, 64, 32}, {1, 16, 2, 4, 2}}; }
  Vae vae{nullptr};
  at::Tensor clip, latent;
};

using Fixture = at::Tensor(const std::string&);

void expect_diffusers_vae(WideVae wide, Fixture& expected) {
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(close(wide.vae->encode(wide.clip.to(at::kFloat)), expected("mean"), 1e-5));
  EXPECT_TRUE(close(test::decode_all(wide.vae, wide.latent.to(at::kFloat)), expected("decoded"), 1e-5));
}

void expect_diffusers_loss(WideVae wide, Fixture& expected) {
  const at::NoGradGuard no_grad;
  wide.vae->to(at::kCUDA, at::kBFloat16);
  wide.vae->store_channels_last();
  EXPECT_TRUE(as_good_as(wide.vae->encode(wide.clip.cuda()), expected("mean_bfloat16"), expected("mean")));
  EXPECT_TRUE(
      as_good_as(test::decode_all(wide.vae, wide.latent.cuda()), expected("decoded_bfloat16"), expected("decoded")));
}

TEST(Wide, VaeAgreesWithDiffusers) { expect_diffusers_vae(WideVae::wan21(), fixture); }
TEST(Wide, VaeOfWan22AgreesWithDiffusers) { expect_diffusers_vae(WideVae::wan22(), fixture_ti2v); }

TEST(WideGpu, VaeLosesAtMostTwiceWhatDiffusersLoses) {
  MOGA_NEEDS_GPU();
  expect_diffusers_loss(WideVae::wan21(), fixture);
}

TEST(WideGpu, VaeOfWan22LosesAtMostTwiceWhatDiffusersLoses) {
  MOGA_NEEDS_GPU();
  expect_diffusers_loss(WideVae::wan22(), fixture_ti2v);
}

}  // namespace
}  // namespace moga
