// The VAE against fixtures of its public implementation, and streamed against whole clips.
#include "moga/model/vae/vae.h"

#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "moga/core/safetensors.h"
#include "tests/model/vae/vae_fixture.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

using test::as_good_as;
using test::close;
using test::decode_all;
using test::random_vae;

// The fixtures of Wan2.1's and of Wan2.2's VAE.
class VaeParity : public testing::TestWithParam<const char*> {
 protected:
  at::Tensor fixture(const std::string& name) { return file_.load(name).to(at::kFloat); }
  Vae vae_ = load_vae(test::fixtures() / GetParam(), at::kCPU, at::kFloat);
  at::NoGradGuard no_grad_;

 private:
  Safetensors file_{test::fixtures() / (GetParam() + std::string("_clip.safetensors"))};
};

TEST_P(VaeParity, WholeClipsEqualDiffusers) {
  const auto [mean, log_variance] = vae_->encode_moments(fixture("clip"));
  EXPECT_TRUE(close(mean, fixture("mean"), 1e-5));
  EXPECT_TRUE(close(log_variance, fixture("logvar"), 1e-5));
  EXPECT_TRUE(close(vae_->decode_raw(fixture("latent")), fixture("decoded"), 1e-5));
}

TEST_P(VaeParity, StreamedClipsEqualDiffusers) {
  EXPECT_TRUE(close(vae_->denormalise(vae_->encode(fixture("clip"))), fixture("mean"), 1e-5));
  EXPECT_TRUE(close(decode_all(vae_, vae_->normalise(fixture("latent"))), fixture("decoded"), 1e-5));
}

TEST_P(VaeParity, InBfloat16IsAsGoodAsDiffusers) {
  const at::Tensor mean = vae_->encode_moments(fixture("clip").to(at::kBFloat16)).first;
  EXPECT_TRUE(as_good_as(mean, fixture("mean_bfloat16"), fixture("mean")));
  const at::Tensor decoded = vae_->decode_raw(fixture("latent").to(at::kBFloat16));
  EXPECT_TRUE(as_good_as(decoded, fixture("decoded_bfloat16"), fixture("decoded")));
}

INSTANTIATE_TEST_SUITE_P(Published, VaeParity, testing::Values("vae", "vae22"),
                         [](const auto& folder) { return std::string(folder.param); });

TEST(Vae, StreamingEqualsWholeClips) {
  const at::NoGradGuard no_grad;
  for (const VaeConfig& config : {test::tiny_vae_config(), test::tiny_vae22_config()}) {
    Vae vae = random_vae(at::kDouble, config);
    const Strides strides = config.strides();
    for (const int64_t frames : {1, 5, 17}) {
      const at::Tensor video = at::randn({2, 3, frames, 2 * strides.rows, 3 * strides.columns}, at::kDouble);
      const at::Tensor latent = vae->encode(video);
      EXPECT_EQ(latent.sizes(), at::IntArrayRef({2, 4, strides.latent_frames(frames), 2, 3}));
      EXPECT_TRUE(close(latent, vae->normalise(vae->encode_moments(video).first), 1e-12));
      const at::Tensor whole = vae->decode_raw(vae->denormalise(latent)).clamp(-1, 1);
      EXPECT_TRUE(close(decode_all(vae, latent), whole, 1e-12));
    }
  }
}

TEST(Vae, OfWan22HasStridesOfSixteen) {
  const VaeConfig published = wan22_vae_config();
  EXPECT_EQ(published.strides(), (Strides{4, 16, 16}));
  EXPECT_EQ(published.latent_channels(), 48);
  published.validate();
  VaeConfig uneven = test::tiny_vae22_config();
  uneven.dim_mult = {1, 2, 4, 6};
  EXPECT_EQ(test::error_of([&] { uneven.validate(); }),
            "VAE: is_residual, and the encoder's level of 16 to 24 channels cannot average groups of equal size");
}

TEST(Vae, DecodesOneThenFourFramesAtATime) {
  const at::NoGradGuard no_grad;
  Vae vae = random_vae();
  std::vector<int64_t> frames;
  vae->decode(at::randn({1, 4, 3, 2, 3}), [&](const at::Tensor& chunk) {
    frames.push_back(chunk.size(2));
    EXPECT_LE(chunk.abs().max().item<float>(), 1.0f);
  });
  EXPECT_EQ(frames, (std::vector<int64_t>{1, 4, 4}));
}

TEST(Vae, TheFutureDoesNotChangeThePast) {
  const at::NoGradGuard no_grad;
  Vae vae = random_vae(at::kDouble);
  const at::Tensor video = at::randn({1, 3, 13, 16, 16}, at::kDouble);
  at::Tensor other = video.clone();
  other.narrow(2, 5, 8).normal_();
  const at::Tensor a = vae->encode(video), b = vae->encode(other);
  EXPECT_TRUE(at::equal(a.narrow(2, 0, 2), b.narrow(2, 0, 2)));
  EXPECT_FALSE(at::equal(a.narrow(2, 2, 1), b.narrow(2, 2, 1)));
}

// The derivative along a random direction of every parameter at once, against a difference quotient.
void expect_gradients(const VaeConfig& config) {
  Vae vae = random_vae(at::kDouble, config);
  const at::Tensor video = at::randn({1, 3, 9, 16, 16}, at::kDouble);
  const at::Tensor target = at::randn_like(video);
  const auto loss = [&] { return (vae->decode_raw(vae->encode_moments(video).first) - target).square().mean(); };
  loss().backward();
  const at::NoGradGuard no_grad;
  const double step = 1e-7;
  at::Tensor slope = at::zeros({}, at::kDouble);
  std::vector<at::Tensor> directions;
  for (const at::Tensor& p : vae->parameters()) directions.push_back(at::randn_like(p));
  const auto parameters = vae->parameters();
  const auto move = [&](double length) {
    for (size_t i = 0; i < parameters.size(); ++i) at::Tensor(parameters[i]).add_(directions[i], length);
  };
  for (size_t i = 0; i < parameters.size(); ++i)
    if (parameters[i].grad().defined()) slope += (parameters[i].grad() * directions[i]).sum();
  move(step);
  const at::Tensor after = loss();
  move(-2 * step);
  EXPECT_TRUE(close((after - loss()) / (2 * step), slope, 1e-6));
}

TEST(Vae, GradientsEqualFiniteDifferences) { expect_gradients(test::tiny_vae_config()); }
TEST(Vae, OfWan22HasGradientsThatEqualFiniteDifferences) { expect_gradients(test::tiny_vae22_config()); }

TEST(Vae, ComputesInTheInputsDtypeWithWiderWeights) {
  const at::NoGradGuard no_grad;
  Vae masters = random_vae(), narrow = random_vae(at::kBFloat16);
  const at::Tensor latent = at::randn({1, 4, 3, 2, 3}).to(at::kBFloat16);
  const at::Tensor frames = masters->decode_raw(latent);
  EXPECT_EQ(frames.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(frames, narrow->decode_raw(latent)));
}

TEST(Vae, EveryWayOfConvolutionGivesTheSame) {
  const at::NoGradGuard no_grad;
  Vae vae = random_vae(at::kDouble);
  vae->store_channels_last();
  const at::Tensor video = at::randn({2, 3, 9, 16, 24}, at::kDouble), latent = vae->encode(video);
  const at::Tensor frames = decode_all(vae, latent);
  for (const char* name : {"volume", "stacked"}) {
    vae->set_convolution(choice<ConvolutionWay>("convolution", name));
    EXPECT_TRUE(close(vae->encode(video), latent, 1e-12)) << name;
    EXPECT_TRUE(close(decode_all(vae, latent), frames, 1e-12)) << name;
  }
}

TEST(Vae, EncodesVideosOfAnotherDtypeThanItsOwn) {
  const at::NoGradGuard no_grad;
  Vae wide_vae = random_vae(), narrow = random_vae(at::kBFloat16);
  const at::Tensor video = at::randn({1, 3, 9, 16, 24}), latent = wide_vae->encode(video);
  EXPECT_EQ(narrow->encode(video).scalar_type(), at::kFloat);
  EXPECT_TRUE(close(narrow->encode(video), latent, 0.05));
}

TEST(FeatureCache, WritingInPlaceEqualsCopying) {
  FeatureCache copied(FeatureCache::Clip::chunked), written(FeatureCache::Clip::chunked);
  const std::vector<int64_t> counts = {1, 3, 2, 1, 4};  // frames of each chunk, fewer and more than are kept
  for (size_t chunk = 0; chunk < counts.size(); ++chunk) {
    if (chunk > 0) copied.next_chunk(), written.next_chunk();
    const int64_t count = counts[chunk];
    const at::Tensor x = at::randn({2, 4, count, 3, 5}).contiguous(at::MemoryFormat::ChannelsLast3d);
    const at::Tensor frames = written.extend(x, 2, [&](at::Tensor into, at::Tensor kept) {
      into.copy_(x);
      if (kept.defined()) kept.copy_(x.narrow(2, count - 2, 2));
    });
    EXPECT_TRUE(at::equal(frames, copied.extend(x, 2)));
    EXPECT_TRUE(frames.is_contiguous(at::MemoryFormat::ChannelsLast3d));
  }
}

TEST(Vae, SaysWhatWouldBeRight) {
  Vae vae = random_vae();
  EXPECT_EQ(test::error_of([&] {
              vae->encode(at::zeros({1, 3, 8, 16, 16}));
            }),
            "got 8 pixel frames, expected 1 + 4k; 9 would be right");
  EXPECT_NE(test::error_of([&] {
              vae->encode(at::zeros({1, 3, 9, 20, 16}));
            }).find("multiples of 8"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] {
              vae->decode(at::zeros({1, 3, 1, 2, 2}), [](const at::Tensor&) {});
            }).find("[B, 4, F"),
            std::string::npos);
  VaeConfig config = test::tiny_vae_config();
  config.latents_std = {1.0};
  EXPECT_NE(test::error_of([&] { Vae other(config); }).find("expected z_dim = 4"), std::string::npos);
  config = test::tiny_vae_config();
  config.num_res_blocks = 1'000'000'000;
  EXPECT_NE(test::error_of([&] { config.validate(); }).find("expected 1 to 100"), std::string::npos);
}

class VaeParityGpu : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Published, VaeParityGpu, testing::Values("vae", "vae22"),
                         [](const auto& folder) { return std::string(folder.param); });

TEST_P(VaeParityGpu, LosesAtMostTwiceWhatDiffusersLosesInBFloat16) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  Vae vae = load_vae(test::fixtures() / GetParam(), at::kCUDA, at::kBFloat16);
  vae->store_channels_last();
  const Safetensors file(test::fixtures() / (GetParam() + std::string("_clip.safetensors")));
  const at::Tensor mean = vae->denormalise(vae->encode(file.load("clip").cuda()));
  EXPECT_TRUE(as_good_as(mean, file.load("mean_bfloat16"), file.load("mean")));
  const at::Tensor frames = decode_all(vae, vae->normalise(file.load("latent").to(at::kFloat).cuda()));
  EXPECT_TRUE(as_good_as(frames, file.load("decoded_bfloat16"), file.load("decoded")));
}

TEST(VaeGpu, EqualsTheCpu) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  Vae vae = random_vae();
  const at::Tensor video = at::randn({2, 3, 9, 32, 48});
  const at::Tensor expected = vae->encode(video);
  vae->to(at::kCUDA);
  EXPECT_TRUE(close(vae->encode(video.cuda()).cpu(), expected, 2e-3));  // TF32 convolutions
  const at::Tensor narrow = vae->encode_moments(video.cuda().to(at::kBFloat16)).first;
  EXPECT_TRUE(close(vae->normalise(narrow.to(at::kFloat)).cpu(), expected, 0.05));
}

// The whole VAE in bfloat16, streamed, with fused norms and padded colours: as good as float32 computed on bfloat16
// weights would let it be.
TEST(VaeGpu, StreamsInBfloat16AsWellAsTheCpu) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  VaeConfig config = test::tiny_vae_config();
  config.base_dim = 16;
  config.dim_mult = {1, 2, 2, 2};
  Vae vae(config);
  for (const auto& item : vae->named_parameters()) at::Tensor(item.value()).add_(at::randn_like(item.value()), 0.05);
  const at::Tensor video = at::randn({2, 3, 9, 32, 48});
  vae->to(at::kDouble);
  const at::Tensor latent = vae->encode(video), frames = decode_all(vae, latent);
  vae->to(at::kBFloat16);
  const at::Tensor plain_latent = vae->encode(video), plain_frames = decode_all(vae, latent);
  vae->to(at::kCUDA);
  vae->store_channels_last();
  for (const char* way : {"volume", "planes", "stacked", "auto"}) {
    vae->set_convolution(choice<ConvolutionWay>("convolution", way));
    EXPECT_TRUE(as_good_as(vae->encode(video).cpu(), plain_latent, latent)) << way;
    EXPECT_TRUE(as_good_as(decode_all(vae, latent.cuda()).cpu(), plain_frames, frames)) << way;
  }
}

}  // namespace
}  // namespace moga
