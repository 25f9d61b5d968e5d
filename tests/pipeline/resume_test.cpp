// An interrupted generation continues after its last kept step as if it had never stopped.
#include "moga/pipeline/resume.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/pipeline/generate.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/error.h"

namespace moga {
namespace {

class Resume : public testing::Test {
 protected:
  Resume() {
    request_.shape = video_shape({48, 32}, {2, 2}, models_.pixels_per_token());
    request_.captions = {"Mara waves.", "Mara walks."};
    sampler_ = models_.sampler;
    sampler_.steps = 5;
  }
  void TearDown() override { set_interrupted(false); }

  KeepConfig keep(bool resume) const { return {folder_ / "film.mp4.resume", resume, 0.0}; }

  // Denoises as generate() does, with Ctrl-C at the end of step `last` (0: never) or within the step after it.
  at::Tensor denoise_until(int64_t last, bool resume, bool within = false) {
    KeptState kept(keep(resume), models_, request_, sampler_);
    Continuation continuation = kept.continuation();
    first_step_ = continuation.start ? continuation.start->steps + 1 : 1;
    continuation.on_step = [=, keep = continuation.on_step](const SampleState& state) {
      set_interrupted(state.steps == last && !within);
      keep(state);
    };
    const StepObserver observe = [=](int64_t step) -> AttentionObserver {
      if (!within || step != last) return {};
      return [](int64_t layer, auto&&...) { set_interrupted(layer == 0); };
    };
    try {
      return test::denoised(models_, {request_}, {sampler_, observe, continuation}).front();
    } catch (const Interrupted&) {
      kept.keep_last();
      throw;
    }
  }

  std::string refusal(bool resume) {
    return test::error_of([&] { KeptState(keep(resume), models_, request_, sampler_); });
  }

  test::Folder folder_;
  Models models_ = test::tiny_models();
  VideoRequest request_;
  SamplerConfig sampler_;
  int64_t first_step_ = 0;
};

TEST_F(Resume, GoesOnBitForBit) {
  for (const SolverKind solver : {SolverKind::kUniPc, SolverKind::kEuler})
    for (const int64_t last : {1, 3, 5}) {
      sampler_.solver = solver;
      const at::Tensor expected = test::denoised(models_, {request_}, {sampler_}).front();
      EXPECT_THROW(denoise_until(last, /*resume=*/false), Interrupted);
      set_interrupted(false);
      EXPECT_TRUE(at::equal(denoise_until(0, /*resume=*/true), expected)) << name_of(solver) << " after step " << last;
      EXPECT_EQ(first_step_, last + 1);
      remove_kept(keep(true));
    }
}

TEST_F(Resume, GoesOnFromTheLastWholeStepOfAnInterruptWithinOne) {
  const at::Tensor expected = test::denoised(models_, {request_}, {sampler_}).front();
  EXPECT_THROW(denoise_until(2, /*resume=*/false, /*within=*/true), Interrupted);
  set_interrupted(false);
  EXPECT_THROW(denoise_until(2, /*resume=*/true, /*within=*/true), Interrupted);  // the first step of the resumed run
  EXPECT_EQ(first_step_, 3);
  set_interrupted(false);
  EXPECT_TRUE(at::equal(denoise_until(0, /*resume=*/true), expected));
  EXPECT_EQ(first_step_, 3);
}

TEST_F(Resume, AnInterruptKeepsWhatWasNotDueYet) {
  KeepConfig config = keep(false);
  config.seconds = 0.2;
  KeptState kept(config, models_, request_, sampler_);
  const Continuation continuation = kept.continuation();
  continuation.on_step({1, at::ones({3}), {}});
  kept.keep_last();
  EXPECT_FALSE(std::filesystem::exists(config.path));  // too short a run
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  kept.keep_last();
  EXPECT_TRUE(std::filesystem::exists(config.path));
}

TEST_F(Resume, RefusesAnotherRunByWhatDiffers) {
  EXPECT_THROW(denoise_until(2, false), Interrupted);
  sampler_.guidance += 1;
  EXPECT_NE(refusal(true).find("belongs to another run: sampler.guidance was"), std::string::npos) << refusal(true);
  sampler_.guidance -= 1;
  request_.captions[1] = "Mara sits.";
  EXPECT_NE(refusal(true).find("script.captions.1 was \"Mara walks.\", now it is \"Mara sits.\""), std::string::npos);
  request_.captions[1] = "Mara walks.";
  models_.transformer->parameters()[3].detach().add_(1.0);
  EXPECT_NE(refusal(true).find("weights was"), std::string::npos);
}

TEST_F(Resume, RefusesAStateThatWasDamaged) {
  EXPECT_THROW(denoise_until(2, false), Interrupted);
  std::string bytes = read_text(keep(true).path);
  bytes[bytes.size() - 5] ^= 1;  // the lowest byte of a float but one
  write_text(keep(true).path, bytes);
  EXPECT_NE(refusal(true).find("film.mp4.resume: is damaged: its checksum is"), std::string::npos) << refusal(true);
  EXPECT_NE(refusal(false).find("is damaged"), std::string::npos);
}

TEST_F(Resume, FramesThatAreNotFiniteEndTheRunAndKeepTheLatents) {
  for (at::Tensor& weight : models_.vae->parameters()) weight.detach().fill_(std::numeric_limits<float>::quiet_NaN());
  Script script;
  script.size = {48, 32};
  script.shot = {{"Mara waves.", std::nullopt, 9}};
  const GenerateOptions options{.sampler = sampler_, .keep = {folder_ / "film.y4m.resume", false, 60}};
  const std::string error =
      test::error_of([&] { generate_files(script, std::move(models_), options, folder_ / "film.y4m"); });
  EXPECT_NE(error.find("decoding: frames 1 to 1 are NaN or infinite; are the weights of the VAE damaged?"),
            std::string::npos)
      << error;
  EXPECT_TRUE(std::filesystem::exists(options.keep.path));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "film.y4m"));
}

TEST_F(Resume, KeepsWhatItDoesNotGoOnFrom) {
  EXPECT_THROW(denoise_until(2, false), Interrupted);
  EXPECT_NE(refusal(false).find("2 steps of an unfinished run; continue with --resume, or remove"), std::string::npos);
  write_text(keep(true).path, "not a state");
  EXPECT_NE(refusal(true).find("film.mp4.resume: header length 8391086132249784174 is beyond the format's limit"),
            std::string::npos)
      << refusal(true);
}

TEST_F(Resume, ShortRunsLeaveNothing) {
  KeepConfig config = keep(true);  // no kept state: starts at the first step
  config.seconds = 60;
  KeptState kept(config, models_, request_, sampler_);
  test::denoised(models_, {request_}, {.sampler = sampler_, .continuation = kept.continuation()});
  EXPECT_FALSE(std::filesystem::exists(config.path));
}

TEST_F(Resume, NothingIsLeftOfAFinishedVideo) {
  Script script;
  script.size = {48, 32};
  script.shot = {{"Mara waves.", std::nullopt, 5}};
  const GenerateOptions options{.sampler = sampler_, .keep = keep(false)};
  generate_files(script, std::move(models_), options, folder_ / "film.y4m");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "film.y4m"));
  EXPECT_FALSE(std::filesystem::exists(options.keep.path));
}

TEST_F(Resume, LatentsThatAreNotFiniteEndTheRunByTheirStep) {
  request_.noise = at::randn({4, 4, 4, 6});
  request_.noise[0][0][0][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(test::error_of([&] { test::denoised(models_, {request_}, {sampler_}); }),
            "step 1 of 5: the latents are NaN or infinite; are the weights damaged, or is the noise that was given not "
            "finite?");
}

TEST(ResumeIdentity, KnowsImagesAndExperts) {
  const Models images = load_models(test::image_folder(), at::kCPU, at::kFloat);
  VideoRequest request;
  request.shape = video_shape({48, 32}, {2}, images.pixels_per_token());
  request.images = {{at::zeros({3, 8, 8}, at::kByte), {}}};
  const nlohmann::json one = generation_identity(images, request, images.sampler);
  request.images[0].first = at::ones({3, 8, 8}, at::kByte);
  EXPECT_NE(generation_identity(images, request, images.sampler)["script"]["images"], one["script"]["images"]);
  Models experts = load_models(test::two_expert_folder(), at::kCPU, at::kFloat);
  request.images.clear();
  const nlohmann::json two = generation_identity(experts, request, experts.sampler);
  EXPECT_EQ(two["boundary"], 900);
  experts.transformer_2 = experts.transformer;
  EXPECT_NE(generation_identity(experts, request, experts.sampler)["weights"], two["weights"]);
}

}  // namespace
}  // namespace moga
