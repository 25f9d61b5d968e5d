// The whole pipeline against diffusers': a folder as its save_pretrained writes it (fixtures/wan, made by
// tools/make_fixtures_pipeline.py; two experts and image-to-video models by tools/make_fixtures_images.py,
// Wan2.2-TI2V-5B's kind by tools/make_fixtures_ti2v.py), the same
// noise, prompt and images, and the same latents and frames come out.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/core/safetensors.h"
#include "moga/data/video/read_image.h"
#include "moga/pipeline/denoise.h"
#include "moga/pipeline/images.h"
#include "moga/pipeline/noise.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/compare.h"

namespace moga {
namespace {

const std::filesystem::path kFixtures = MOGA_FIXTURES;

struct Case {
  explicit Case(const std::string& name = "wan", const std::filesystem::path& folder = kFixtures / "wan")
      : file(kFixtures / (name + ".safetensors")), models(load_models(folder, at::kCPU, at::kFloat)) {}

  Safetensors file;
  nlohmann::json request = nlohmann::json::parse(file.metadata().at("request"));
  Models models;

  SamplerConfig sampler() const {
    SamplerConfig config = models.sampler;
    config.steps = request["num_inference_steps"];
    config.guidance = request["guidance_scale"];
    if (request.contains("guidance_scale_2")) config.guidance_2 = request["guidance_scale_2"];
    return config;
  }
  VideoRequest video(const char* noise = "latents") const {
    VideoRequest video;
    const Strides pixels = models.pixels_per_token();
    video.shape =
        video_shape({request["width"], request["height"]}, {pixels.latent_frames(request["num_frames"])}, pixels);
    video.captions = {request["prompt"].get<std::string>()};
    video.negative_prompt = request["negative_prompt"];
    const at::Tensor start = file.load(noise);
    video.noise = start.dim() == 5 ? start[0] : start;
    return video;
  }
};

TEST(WanPipeline, LoadsAsDiffusersWritesIt) {
  const Case wan;
  EXPECT_EQ(wan.models.transformer->config().attention().kind, AttentionKind::kFull);
  EXPECT_EQ(wan.models.sampler.solver, SolverKind::kUniPc);
  EXPECT_EQ(wan.models.sampler.shift, 3.0);
  EXPECT_TRUE(wan.models.sampler.whole_timesteps);
}

TEST(WanPipeline, DrawsWhatDiffusersDraws) {
  Case wan;
  const at::Tensor latents = test::denoised(wan.models, {wan.video()}, {wan.sampler()}).front();
  EXPECT_TRUE(test::close(latents, wan.file.load("final_latents"), 1e-5));
  std::vector<at::Tensor> frames;
  wan.models.vae->decode(latents.unsqueeze(0), [&](const at::Tensor& f) { frames.push_back(f[0].transpose(0, 1)); });
  EXPECT_TRUE(test::close((at::cat(frames) + 1) / 2, wan.file.load("frames"), 1e-5));
}

// The parts of a variant over those of fixtures/wan.
void write_variant(const std::string& name, const std::filesystem::path& folder) {
  const auto options = std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing;
  for (const char* part : {"tokenizer", "text_encoder", "vae", "scheduler"})
    std::filesystem::copy(kFixtures / "wan" / part, folder / part, options);
  std::filesystem::copy(kFixtures / name, folder, options);
}

struct Variant {
  const char* name;
  bool first, last;
};

class WanVariants : public testing::TestWithParam<Variant> {};

TEST_P(WanVariants, DrawWhatDiffusersDraws) {
  const test::Folder folder;
  write_variant(GetParam().name, folder.path());
  Case wan(GetParam().name, folder.path());
  VideoRequest video = wan.video();
  if (GetParam().first) video.images.push_back({read_image(kFixtures / "first.png"), {}});
  if (GetParam().last) video.images[0].last = read_image(kFixtures / "last.png");
  const Conditions conditions = encode_conditions(wan.models, {video}, wan.sampler());
  const at::Tensor latents = denoise(wan.models, {video}, conditions, {wan.sampler()}).front();
  EXPECT_TRUE(test::close(latents, wan.file.load("final_latents"), 1e-5));
  std::vector<at::Tensor> frames;
  wan.models.vae->decode(latents.unsqueeze(0), [&](const at::Tensor& f) { frames.push_back(f[0].transpose(0, 1)); });
  EXPECT_TRUE(test::close((at::cat(frames) + 1) / 2, wan.file.load("frames"), 1e-5));
}

INSTANTIATE_TEST_SUITE_P(Published, WanVariants,
                         testing::Values(Variant{"t2v_a14b", false, false}, Variant{"i2v", true, false},
                                         Variant{"flf2v", true, true}, Variant{"i2v_a14b", true, false}),
                         [](const auto& variant) { return std::string(variant.param.name); });

void write_ti2v(const std::filesystem::path& folder) {
  write_variant("ti2v", folder);
  std::filesystem::remove_all(folder / "vae");
  std::filesystem::copy(kFixtures / "../../model/fixtures/vae22", folder / "vae");
}

// Wan2.2-TI2V-5B, by WanPipeline and by WanImageToVideoPipeline.
TEST(WanTi2v, DrawsWhatDiffusersDraws) {
  const test::Folder folder;
  write_ti2v(folder.path());
  Case wan("ti2v", folder.path());
  EXPECT_EQ(wan.models.pixels_per_token(), (Strides{4, 32, 32}));
  VideoRequest video = wan.video();
  const at::Tensor of_text = test::denoised(wan.models, {video}, {wan.sampler()}).front();
  EXPECT_TRUE(test::close(of_text, wan.file.load("text_latents"), 1e-5));
  video.images.push_back({read_image(kFixtures / "first.png"), {}});
  const at::Tensor latents = test::denoised(wan.models, {video}, {wan.sampler()}).front();
  EXPECT_TRUE(test::close(latents, wan.file.load("image_latents"), 1e-5));
  std::vector<at::Tensor> frames;
  wan.models.vae->decode(latents.unsqueeze(0), [&](const at::Tensor& f) { frames.push_back(f[0].transpose(0, 1)); });
  EXPECT_TRUE(test::close((at::cat(frames) + 1) / 2, wan.file.load("frames"), 1e-5));
}

// The case above can only prove what it would detect: changed settings must give different results.
TEST(WanPipeline, TimestepsAndCleaningOfPromptsMatter) {
  Case wan;
  const at::Tensor expected = wan.file.load("final_latents");
  SamplerConfig sampler = wan.sampler();
  sampler.whole_timesteps = false;
  EXPECT_GT(test::difference(test::denoised(wan.models, {wan.video()}, {sampler})[0], expected).relative, 1e-4);
  VideoRequest other = wan.video();
  other.captions = {"Ada & Bo walk in the \"park\", a person's blue hat."};
  EXPECT_GT(test::difference(test::denoised(wan.models, {other}, {wan.sampler()})[0], expected).relative, 1e-4);
}

// Of a seed alone (fixtures/noise.safetensors, made by tools/make_fixtures_noise.py with the real class).
TEST(WanPipeline, DrawsDiffusersNoiseOfASeed) {
  Case wan("noise");
  VideoRequest video = wan.video("noise");
  video.noise = at::Tensor();
  video.seed = 42;
  video.noise_from = NoiseSource::kDiffusers;
  const at::Tensor noise = wan.file.load("noise"), other = wan.file.load("other");
  EXPECT_TRUE(test::close(noise_of(video, noise.sizes()), noise, 1e-6));
  const at::Tensor latents = test::denoised(wan.models, {video}, {wan.sampler()}).front();
  EXPECT_TRUE(test::close(latents, wan.file.load("final_latents"), 1e-5));
  video.seed = -7;
  EXPECT_TRUE(test::close(noise_of(video, other.sizes()), other, 1e-6));
  video.noise_from = NoiseSource::kMoga;
  EXPECT_GT(test::difference(noise_of(video, other.sizes()), other).relative, 1.0);
}

}  // namespace
}  // namespace moga
