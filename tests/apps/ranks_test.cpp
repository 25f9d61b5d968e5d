// Commands on several ranks as their users meet them: --gpus N on one machine, a rank that is killed, what is said.
#include <gtest/gtest.h>

#include <filesystem>

#include "moga/core/files.h"
#include "moga/data/video/video.h"
#include "tests/apps/program.h"

namespace moga {
namespace {

using test::expect_error;
using test::moga;
using test::Result;

class RanksProgram : public test::Program {};

TEST_F(RanksProgram, GenerateOnTwoMakesTheFilmOfOne) {
  const auto film = [](const std::string& options, const std::string& name) {
    const Result result = moga(generate("--out " + at(name + ".y4m") + " --save-latents " + at(name) + " " + options));
    EXPECT_EQ(result.status, 0) << result.text;
    return result.text;
  };
  film("--steps 3", "one.safetensors");
  const std::string text = film("--steps 3 --gpus 2", "two.safetensors");
  EXPECT_NE(text.find("on 2 ranks: guidance 2 x sequence 1"), std::string::npos) << text;
  EXPECT_EQ(text.find("video  "), text.rfind("video  ")) << text;  // one summary
  const Result same = moga("compare " + at("two.safetensors") + " " + at("one.safetensors") + " --tolerance 1e-5");
  EXPECT_EQ(same.status, 0) << same.text;
  EXPECT_EQ(open_video(at("two.safetensors.y4m"))->info().frames, 17);
  film("--steps 3 --gpus 2", "again.safetensors");
  EXPECT_EQ(read_text(at("again.safetensors")), read_text(at("two.safetensors")));
}

TEST_F(RanksProgram, GenerateOnTwoShowsPreviewsAndMakesTheSameFilm) {
  const std::string command = generate("--steps 3 --quiet --gpus 2 --out ");
  EXPECT_EQ(moga("train preview " + at("model/vae") + " --frames 5 --width 112 --clips 2").status, 0);
  for (const char* options : {"plain.y4m", "seen.y4m --preview 1"}) {
    const Result result = moga(command + at("") + options);
    EXPECT_EQ(result.status, 0) << result.text;
  }
  EXPECT_EQ(read_text(at("seen.y4m")), read_text(at("plain.y4m")));
  EXPECT_EQ(open_video(at("seen.preview.y4m"))->info().frames, 5);  // latent frames
  EXPECT_TRUE(std::filesystem::exists(at("seen.preview.png")));
}

TEST_F(RanksProgram, AnErrorOfAGenerationIsOneLine) {
  expect_error(generate("--quiet --gpus 2 --set sampler.stepz=3 --out " + at("a.y4m")), "unknown key 'stepz'");
  expect_error("generate nothing.toml --quiet --gpus 2 --model " + at("model") + " --out a.y4m", "nothing.toml");
  expect_error(generate("--quiet --gpus 2 --device cuda:1 --out " + at("a.y4m")), "device 'cuda:1' is one GPU");
}

// The first of its ranks is killed; the launcher ends the other one and names the killed one.
TEST_F(RanksProgram, AGenerationWhoseRankIsKilledGoesOn) {
  const std::string film = generate("--steps 300 --quiet --gpus 2 --out ");
  EXPECT_EQ(moga(film + at("whole.y4m")).status, 0);
  const std::string command = "{ '" MOGA_PROGRAM "' " + film + at("killed.y4m") + " --keep-every 0 2> " + at("said") +
                              " & while [ ! -e " + at("killed.y4m.resume") +
                              " ]; do sleep 0.02; done; kill -9 $(cut -d' ' -f1 /proc/$!/task/$!/children); wait $!; }";
  EXPECT_NE(std::system(command.c_str()), 0);
  EXPECT_NE(read_text(at("said")).find("moga: rank 0 on "), std::string::npos);
  EXPECT_NE(read_text(at("said")).find(" was killed by SIGKILL; all 2 ranks were ended"), std::string::npos);
  expect_error(film + at("killed.y4m"), "continue with --resume");
  EXPECT_EQ(moga(film + at("killed.y4m") + " --resume").status, 0);
  EXPECT_EQ(read_text(at("killed.y4m")), read_text(at("whole.y4m")));
}

TEST_F(RanksProgram, EvaluateOnTwoReadsWhatOneReads) {
  const auto table = [](const std::string& options) {
    const Result result = moga("evaluate stories --quiet --model " + at("model") + " --stories 3 --batch 1 --steps 1 " +
                               "--width 112 --height 64 --frames 65 --out " + at("evaluation") + " " + options);
    EXPECT_EQ(result.status, 0) << result.text;
    return result.text.substr(0, result.text.find("readings"));
  };
  EXPECT_EQ(table("--gpus 2"), table(""));
}

TEST_F(RanksProgram, BenchModelMeasuresHalvesOfAGuidedStep) {
  const Result result = moga("bench model --device cpu --gpus 2 --guided --repeats 1 --warm-up 1 --quiet");
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("MoGA, guidance 2 x sequence 1"), std::string::npos) << result.text;
}

}  // namespace
}  // namespace moga
