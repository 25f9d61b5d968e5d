// Previews show the estimate of the clean latents of a step, change no bit of the film, and never end a run.
#include "moga/pipeline/preview.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/generate.h"
#include "moga/pipeline/latents.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/compare.h"

namespace moga {
namespace {

#ifdef MOGA_FFMPEG
const char* const kFilm = "film.mp4";
const char* const kPreviewFilm = "film.preview.mp4";
#else
const char* const kFilm = "film.y4m";
const char* const kPreviewFilm = "film.preview.y4m";
#endif

Script script_of(int64_t second_shot) {
  Script script;
  script.size = {48, 32};
  script.shot = {{"Mara waves.", std::nullopt, 5}, {"Mara walks.", std::nullopt, second_shot}};
  return script;  // 2 and second_shot / 4 latent frames of 4×6
}

PreviewDecoder some_decoder() {
  const PreviewMap map = {.weight = at::eye(3, 4, at::kFloat) * 0.3, .bias = at::tensor({0.0f, 0.1f, -0.1f})};
  return {.first = map, .later = map};
}

GenerateOptions with_previews(const test::Folder& folder, const SamplerConfig& sampler, int64_t every) {
  return {.sampler = sampler,
          .save_latents = folder / "latents.safetensors",
          .preview = {.every = every, .files = preview_files(folder / kFilm), .decoder = some_decoder()}};
}

struct Shown {
  std::vector<int64_t> steps;
  std::vector<at::Tensor> estimates;
  at::Tensor latents;
};

Shown shown(Models models, SolverKind solver, std::optional<SampleState> start, int64_t every) {
  VideoRequest request;
  request.shape = video_shape({48, 32}, {2, 2}, models.pixels_per_token());
  request.captions = {"Mara waves.", "Mara walks."};
  Shown result;
  SamplerConfig sampler = models.sampler;
  sampler.solver = solver;
  sampler.steps = 4;
  DenoiseOptions options{.sampler = sampler, .continuation = {.start = std::move(start), .on_step = {}}};
  options.estimates = {every, [&](int64_t steps, const std::vector<at::Tensor>& latents) {
                         result.steps.push_back(steps);
                         result.estimates.push_back(latents.at(0));
                       }};
  result.latents = test::denoised(models, {request}, options).at(0);
  return result;
}

TEST(Preview, TheEstimateOfTheLastStepOfEulerIsItsResult) {
  const Shown all = shown(test::tiny_models(), SolverKind::kEuler, std::nullopt, 1);
  EXPECT_EQ(all.steps, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_TRUE(test::close(all.estimates[3], all.latents, 1e-5));
  EXPECT_GT(test::difference(all.estimates[0], all.latents).relative, 1e-3);
}

TEST(Preview, AResumedRunGoesOnWithThem) {
  EXPECT_EQ(shown(test::tiny_models(), SolverKind::kUniPc, std::nullopt, 2).steps, (std::vector<int64_t>{2, 4}));
  const SampleState kept{2, at::randn({4 * 4 * 4 * 6}), {}};
  EXPECT_EQ(shown(test::tiny_models(), SolverKind::kEuler, kept, 2).steps, (std::vector<int64_t>{4}));
}

TEST(Preview, WorksWithTwoExperts) {
  const Shown all =
      shown(load_models(test::two_expert_folder(), at::kCPU, at::kFloat), SolverKind::kEuler, std::nullopt, 1);
  ASSERT_EQ(all.estimates.size(), 4u);
  EXPECT_TRUE(test::close(all.estimates[3], all.latents, 1e-5));
}

TEST(Preview, IsASheetByShotAndAFilmOfLatentFramesAndChangesNoBit) {
  const test::Folder folder, plain;
  const SamplerConfig sampler = test::tiny_models().sampler;
  generate_files(script_of(8), test::tiny_models(), with_previews(folder, sampler, 1), folder / kFilm);
  const GenerateOptions without{.sampler = sampler, .save_latents = plain / "latents.safetensors"};
  generate_files(script_of(8), test::tiny_models(), without, plain / kFilm);
  EXPECT_TRUE(at::equal(load_latents(folder / "latents.safetensors"), load_latents(plain / "latents.safetensors")));
  EXPECT_EQ(load_png(folder / "film.preview.png").sizes(), (at::IntArrayRef{3, 4 + 2 * 36, 4 + 5 * 52}));
  const at::Tensor frames = open_video(folder / kPreviewFilm)->read(100);
  EXPECT_EQ(frames.sizes(), (at::IntArrayRef{4, 3, 32, 48}));
  const at::Tensor expected = some_decoder().decode(load_latents(folder / "latents.safetensors"), 8);
  EXPECT_LT((frames.to(at::kFloat) - expected.to(at::kFloat)).abs().mean().item<double>(), 12);  // H.264, 4:2:0
  EXPECT_FALSE(std::filesystem::exists(plain / "film.preview.png"));
}

TEST(Preview, AnImageToVideoModelHasThem) {
  const test::Folder folder;
  save_png(folder / "first.png", at::full({3, 32, 48}, 128, at::kByte));
  Script script = script_of(8);
  script.shot[0].image = (folder / "first.png").string();
  Models models = load_models(test::image_folder(), at::kCPU, at::kFloat);
  const SamplerConfig sampler = models.sampler;
  generate_files(script, std::move(models), with_previews(folder, sampler, 1), folder / kFilm);
  EXPECT_EQ(open_video(folder / kPreviewFilm)->read(100).size(0), 4);
}

TEST(Preview, WhatCannotBeWrittenDoesNotEndTheRun) {
  const test::Folder folder;
  write_text(folder / "file", "no folder");
  const SamplerConfig sampler = test::tiny_models().sampler;
  GenerateOptions options = with_previews(folder, sampler, 1);
  options.preview.files = preview_files(folder / "file" / kFilm);
  EXPECT_EQ(generate_files(script_of(8), test::tiny_models(), options, folder / kFilm).frames, 13);
}

}  // namespace
}  // namespace moga
