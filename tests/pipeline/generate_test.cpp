// A script is turned into a video of the right length, frame by frame, with memory that does not grow with duration.
#include "moga/pipeline/generate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "moga/core/interrupt.h"
#include "moga/core/random.h"
#include "moga/core/safetensors.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/model/wan/transformer.h"
#include "moga/pipeline/latents.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

#ifdef MOGA_FFMPEG
const char* const kVideo = "a.mp4";
#else
const char* const kVideo = "a.y4m";
#endif

Script script_of(std::vector<int64_t> shot_frames) {
  Script script;
  script.size = {48, 32};
  for (const int64_t frames : shot_frames) script.shot.push_back({"Mara waves.", std::nullopt, frames});
  return script;
}

int64_t resident_bytes() {
  int64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// Peak resident memory while `latent_frames` are decoded and written to a video file.
int64_t peak_of_decoding(Models& models, int64_t latent_frames) {
  test::Folder folder;
  const auto writer = make_video_writer(folder / kVideo, 80, 48, 16);
  int64_t peak = 0;
  decode_frames(*models.vae, at::randn({4, latent_frames, 6, 10}, random_stream(1, "latent")),
                [&](const at::Tensor& frames) {
                  writer->write(frames);
                  peak = std::max(peak, resident_bytes());
                });
  writer->finish();
  return peak;
}

TEST(Generate, MakesEveryFrameInOrder) {
  Models models = test::tiny_models();
  std::vector<at::Tensor> pieces;
  const SamplerConfig sampler = models.sampler;
  generate(script_of({5, 8}), std::move(models), {.sampler = sampler},
           [&](const at::Tensor& frames) { pieces.push_back(frames); });
  EXPECT_EQ(pieces.size(), 4u);  // one a latent frame
  EXPECT_EQ(at::cat(pieces).sizes(), (at::IntArrayRef{13, 3, 32, 48}));
}

TEST(Generate, WritesVideoAndContactSheet) {
  test::Folder folder;
  Models models = test::tiny_models();
  const GenerateOptions options{.sampler = models.sampler};
  const GeneratedFiles files = generate_files(script_of({5, 8}), std::move(models), options, folder / kVideo);
  EXPECT_EQ(files.frames, 13);
  EXPECT_EQ(open_video(files.video)->read(100).size(0), 13);
  EXPECT_EQ(load_png(files.sheet).sizes(), (at::IntArrayRef{3, 4 + 2 * 36, 4 + 5 * 52}));
}

TEST(Generate, ReleasesEachModelAfterItsStage) {
  Models models = test::tiny_models();
  const std::weak_ptr<TextEncoderImpl> text_encoder = models.text_encoder.ptr();
  const std::weak_ptr<VideoModel> transformer = models.transformer;
  const std::weak_ptr<Codec> vae = models.vae;
  bool released = true;
  const GenerateOptions options{.sampler = models.sampler};
  generate(script_of({5, 8}), std::move(models), options, [&](const at::Tensor&) {
    released = released && text_encoder.expired() && transformer.expired() && !vae.expired();
  });
  EXPECT_TRUE(released);
  EXPECT_TRUE(vae.expired());
}

// A model with other patches than Wan2.1's is generated with at its own sizes.
TEST(Generate, FollowsTheModelsPatch) {
  const test::Folder folder;
  std::filesystem::copy(test::tiny_folder(), folder.path(), std::filesystem::copy_options::recursive);
  TransformerConfig config = load_transformer_config(folder / "transformer/config.json");
  config.patch_size = {1, 1, 1};
  save_transformer(folder / "transformer", Transformer(config), at::kFloat);
  Models models = load_models(folder.path(), at::kCPU, at::kFloat);
  EXPECT_EQ(models.pixels_per_token(), (Strides{4, 8, 8}));
  Script script = script_of({5, 8});
  script.size = {40, 24};
  std::vector<at::Tensor> pieces;
  const GenerateOptions options{.sampler = models.sampler};
  generate(script, std::move(models), options, [&](const at::Tensor& frames) { pieces.push_back(frames); });
  EXPECT_EQ(at::cat(pieces).sizes(), (at::IntArrayRef{13, 3, 24, 40}));
}

TEST(Generate, StartsFromGivenNoiseAndKeepsTheLatents) {
  test::Folder folder;
  const auto latents_from = [&](const at::Tensor& noise, int64_t seed) {
    Models models = test::tiny_models();
    Script script = script_of({5, 8});
    script.seed = seed;
    const GenerateOptions options{
        .sampler = models.sampler, .noise = noise, .save_latents = folder / "latents.safetensors"};
    generate(script, std::move(models), options, [](const at::Tensor&) {});
    return load_latents(options.save_latents);
  };
  // Noise can be given instead of a seed; the seed then has no effect.
  const at::Tensor drawn = latents_from({}, 3), noise = at::randn({4, 4, 4, 6}, random_stream(3, "noise"));
  EXPECT_EQ(drawn.sizes(), noise.sizes());
  EXPECT_TRUE(at::equal(latents_from(noise, 5), drawn));
  EXPECT_FALSE(at::equal(latents_from(noise + 0.1, 5), drawn));
}

TEST(Generate, AnInterruptLeavesNothing) {
  test::Folder folder;
  Models models = test::tiny_models();
  set_interrupted(true);
  const GenerateOptions options{.sampler = models.sampler};
  EXPECT_THROW(generate_files(script_of({5, 8}), std::move(models), options, folder / kVideo), Interrupted);
  set_interrupted(false);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Generate, AnInterruptEndsDecodingWithinTheFrameUnderWay) {
  Models models = test::tiny_models();
  int64_t frames = 0;
  const auto sink = [&](const at::Tensor&) {
    ++frames;
    set_interrupted(true);
  };
  EXPECT_THROW(decode_frames(*models.vae, at::zeros({4, 3, 4, 6}), sink), Interrupted);
  EXPECT_EQ(frames, 1);
  models.vae->decode(at::zeros({1, 4, 3, 4, 6}), sink);  // where no caller allows it, to its end
  EXPECT_EQ(frames, 4);
  set_interrupted(false);
}

TEST(Generate, AnInterruptOfDecodingKeepsAllSteps) {
  test::Folder folder;
  const SamplerConfig sampler = test::tiny_models().sampler;
  GenerateOptions options{.sampler = sampler, .keep = {.path = folder / "kept", .seconds = 1e9}};
  const auto interrupt = [&](const at::Tensor&) { set_interrupted(true); };
  EXPECT_THROW(generate(script_of({5, 8}), test::tiny_models(), options, interrupt), Interrupted);
  EXPECT_FALSE(std::filesystem::exists(options.keep.path));  // a short run is not worth it
  set_interrupted(false);
  options.keep.seconds = 0;
  EXPECT_THROW(generate(script_of({5, 8}), test::tiny_models(), options, interrupt), Interrupted);
  EXPECT_EQ(Safetensors(options.keep.path).metadata().at("steps"), std::to_string(sampler.steps));
  set_interrupted(false);
}

TEST(Generate, DecodingHoldsNoFrames) {
  Models models = test::tiny_models();
  peak_of_decoding(models, 3);                              // the allocator's and the encoder's own growth
  const int64_t short_peak = peak_of_decoding(models, 26);  // 101 frames
  const int64_t long_peak = peak_of_decoding(models, 251);  // 1,001 frames
  EXPECT_LE(static_cast<double>(long_peak), 1.03 * static_cast<double>(short_peak))
      << short_peak << " and " << long_peak << " bytes";
}

TEST(GenerateGpu, FramesReachTheSinkOnTheHostInOrder) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  Models models = load_models(test::tiny_folder(), at::kCUDA, at::kBFloat16);
  const at::Tensor latent = at::randn({4, 6, 6, 10}).cuda();
  std::vector<at::Tensor> expected, frames;
  models.vae->decode(latent.unsqueeze(0), [&](const at::Tensor& f) { expected.push_back(to_uint8(f[0]).cpu()); });
  decode_frames(*models.vae, latent, [&](const at::Tensor& f) { frames.push_back(f); });
  ASSERT_EQ(frames.size(), 6u);
  EXPECT_TRUE(at::equal(at::cat(frames), at::cat(expected)));
}

}  // namespace
}  // namespace moga
