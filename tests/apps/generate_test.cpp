// `moga generate` as its users meet it: what it writes, refuses, says, and how it ends when it is interrupted or
// killed.
#include <gtest/gtest.h>

#include <chrono>

#include "moga/core/files.h"
#include "moga/data/video/video.h"
#include "moga/model/wan/transformer.h"
#include "tests/apps/program.h"

namespace moga {
namespace {

using test::expect_error;
using test::moga;
using test::Result;

class GenerateProgram : public test::Program {};

TEST_F(GenerateProgram, WritesVideoAndContactSheet) {
  const Result result = moga(generate("--steps 2 --quiet --out " + at("out/film.y4m")));
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find(at("out/film.png")), std::string::npos) << result.text;
  EXPECT_NE(result.text.find("peak memory"), std::string::npos) << result.text;
  EXPECT_EQ(open_video(at("out/film.y4m"))->info().frames, 17);
  EXPECT_TRUE(std::filesystem::exists(at("out/film.png")));
}

TEST_F(GenerateProgram, NamesWhatIsWrong) {
  expect_error("generate nothing.toml --model " + at("model") + " --out a.y4m", "nothing.toml");
  expect_error("generate " + at("film.toml") + " --model " + at("none") + " --out a.y4m", "none: no such folder");
  expect_error(generate("--quiet --out " + at("a.avi")), "use .mp4 or .y4m");
  expect_error("generate " + at("film.toml") + " --model none --out a.avi", "use .mp4 or .y4m");  // before the model
  expect_error(generate("--quiet --out " + at("film.toml/a.y4m")), "is not a folder");
  expect_error(generate("--quiet --steps 0 --out " + at("a.y4m")), "steps");
  expect_error(generate("--quiet --guidance -1 --out " + at("a.y4m")), "guidance = -1: expected 1 (off) or more");
  expect_error(generate("--quiet --steps 4 --full-steps 5 --out " + at("a.y4m")), "full_steps = 5: expected 0 to 4");
  expect_error(generate("--device tpu --out " + at("a.y4m")), "tpu");
  write_text(at("bad.toml"), "title = \"T\"\n[[shot]]\ncaption = \"c\"\n");
  expect_error("generate " + at("bad.toml") + " --model " + at("model") + " --out a.y4m", "bad.toml:2: shot 1");
}

TEST_F(GenerateProgram, AWrongSettingOfAScriptIsReportedOfIt) {
  write_text(at("set.toml"), "set = [\"sampler.stepz=3\"]\n" + read_text(at("film.toml")));
  for (const char* command : {"generate", "plan"}) {
    const std::string film = std::string(command) + " " + at("set.toml") + " --model " + at("model");
    const std::string out = std::string(command) == "generate" ? " --out " + at("a.y4m") : "";
    expect_error(film + out, at("set.toml") + ": unknown key 'stepz'; did you mean 'steps'?");
  }
  expect_error(generate("--set sampler.stepz=3 --out " + at("a.y4m")), "moga: command line: unknown key 'stepz'");
}

TEST_F(GenerateProgram, SettingsOfScriptAndOptionsAreCheckedTogether) {
  write_text(at("one.toml"), "set = [\"sampler.steps=1\", \"sampler.full_steps=2\"]\n" + read_text(at("film.toml")));
  const std::string film = "generate " + at("one.toml") + " --model " + at("model") + " --quiet --out " + at("a.y4m");
  expect_error(film, at("one.toml") + ": full_steps = 2: expected 0 to 1");
  EXPECT_EQ(moga(film + " --steps 2").status, 0);
  expect_error(generate("--set sampler.full_steps=5 --steps 4 --out " + at("other.y4m")),
               "moga: command line: full_steps = 5: expected 0 to 4");
}

TEST_F(GenerateProgram, SaysWhatItWasAskedForAndHowEvenGroupsWere) {
  const Result result = moga(generate("--steps 1 --out " + at("said.y4m")));
  EXPECT_NE(result.text.find("1 video, 30 tokens, 2 shots, evaluated with and without captions in each step"),
            std::string::npos)
      << result.text;
  EXPECT_NE(result.text.find("\nrouted groups: "), std::string::npos) << result.text;
  const Result plain = moga(generate("--steps 1 --guidance 1 --out " + at("said.y4m")));
  EXPECT_NE(plain.text.find("1 video, 30 tokens, 2 shots; unipc"), std::string::npos) << plain.text;
}

TEST_F(GenerateProgram, GoesFromGivenNoiseToSavedLatents) {
  const std::string latents = at("latents.safetensors");
  EXPECT_EQ(moga(generate("--steps 1 --quiet --save-latents " + latents + " --out " + at("b.y4m"))).status, 0);
  EXPECT_NE(moga("info " + latents).text.find("latents  float32 [4, 5, 4, 6]"), std::string::npos);
  EXPECT_EQ(moga(generate("--steps 1 --quiet --noise " + latents + " --out " + at("b.y4m"))).status, 0);
  expect_error(generate("--quiet --noise none.safetensors --out " + at("b.y4m")), "none.safetensors");
}

TEST_F(GenerateProgram, TheCommandLineGoesOverTheScript) {
  const auto latents = [](const std::string& options) {
    EXPECT_EQ(
        moga(generate("--steps 1 --quiet --out " + at("f.y4m") + " --save-latents " + at("f.safetensors") + options))
            .status,
        0);
    return read_text(at("f.safetensors"));
  };
  const std::string plain = latents("");
  EXPECT_EQ(latents(" --negative-prompt ''"), plain);  // the script's
  EXPECT_NE(latents(" --negative-prompt 'blurred'"), plain);
  EXPECT_NE(latents(" --seed 9"), plain);
  latents(" --size 64x48");
  EXPECT_EQ(open_video(at("f.y4m"))->info().width, 64);
  EXPECT_NE(moga("plan " + at("film.toml") + " --size 64x48 --model " + at("model")).text.find("of 3x4 tokens"),
            std::string::npos);
  expect_error(generate("--quiet --size 50x48 --out " + at("f.y4m")), "size is [50, 48], expected multiples of 16");
}

TEST_F(GenerateProgram, PreviewsNeedADecoderThatTrainPreviewFits) {
  const std::string film = generate("--steps 2 --quiet --preview 1 --out " + at("seen.y4m"));
  std::filesystem::remove(at("model/vae/preview.json"));
  expect_error(film, "vae/preview.json: there is none; `moga train preview " + at("model/vae") + "` makes it");
  const std::string fit = "train preview " + at("model/vae") + " --frames 5 --width 112 ";
  expect_error(fit + "--film none.mp4", "none.mp4");
  expect_error("train preview " + at("model/transformer"), "transformer");
  const Result fitted = moga(fit + "--clips 2");
  EXPECT_EQ(fitted.status, 0) << fitted.text;
  EXPECT_NE(fitted.text.find("of the variance of colours explained"), std::string::npos) << fitted.text;
  const Result result = moga(film);
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_EQ(open_video(at("seen.preview.y4m"))->info().frames, 5);  // latent frames
  EXPECT_TRUE(std::filesystem::exists(at("seen.preview.png")));
  EXPECT_EQ(moga(fit + "--film " + at("seen.y4m")).status, 0);
}

TEST_F(GenerateProgram, AnInterruptEndsItCleanly) {
  // In the foreground: otherwise timeout signals its group as well, and a second interrupt ends the program at once.
  const std::string limit = "timeout --foreground --preserve-status --signal=INT --kill-after=20 2";
  const Result result = moga(generate("--steps 100000 --quiet --out " + at("long.y4m")), limit);
  EXPECT_EQ(result.status, 130) << result.text;
  EXPECT_EQ(result.text, "moga: interrupted\n");
  EXPECT_FALSE(std::filesystem::exists(at("long.y4m")));
  for (const auto& entry : std::filesystem::directory_iterator(at(".")))
    EXPECT_EQ(entry.path().filename().string().find(".long.partial-"), std::string::npos) << entry.path();
}

// 100 blocks over 28,000 tokens: one evaluation takes half a minute, a block a fraction of a second.
TEST_F(GenerateProgram, AnInterruptEndsAnEvaluation) {
  std::filesystem::copy(at("model"), at("deep"), std::filesystem::copy_options::recursive);
  TransformerConfig config = load_transformer_config(at("model/transformer/config.json"));
  config.num_layers = 100;
  save_transformer(at("deep/transformer"), Transformer(config), ::at::kFloat);
  write_text(at("large.toml"), "size = [832, 480]\n[[shot]]\ncaption = \"Mara waves.\"\nframes = 33\n");
  const std::string film = "generate " + at("large.toml") + " --model " + at("deep") + " --quiet --out " + at("l.y4m");
  const auto start = std::chrono::steady_clock::now();
  const Result result = moga(film, "timeout --foreground --preserve-status --signal=INT --kill-after=60 3");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(result.status, 130) << result.text;
  EXPECT_EQ(result.text, "moga: interrupted\n");
  EXPECT_LT(seconds.count(), 10);
}

TEST_F(GenerateProgram, AKilledRunGoesOn) {
  const std::string film = generate("--steps 100 --quiet --out ");
  EXPECT_EQ(moga(film + at("whole.y4m")).status, 0);
  const std::string command = "{ '" MOGA_PROGRAM "' " + film + at("killed.y4m") + " --keep-every 0 & while [ ! -e " +
                              at("killed.y4m.resume") + " ]; do sleep 0.02; done; kill -9 $!; wait $!; } 2>/dev/null";
  EXPECT_NE(std::system(command.c_str()), 0);
  expect_error(film + at("killed.y4m"), "continue with --resume");
  EXPECT_EQ(moga(film + at("killed.y4m") + " --resume").status, 0);
  EXPECT_EQ(read_text(at("killed.y4m")), read_text(at("whole.y4m")));
  EXPECT_FALSE(std::filesystem::exists(at("killed.y4m.resume")));
}

TEST_F(GenerateProgram, AttentionComesFromScriptAndCommandLine) {
  write_text(at("full.toml"), "set = [\"transformer.moga.kind=full\"]\n" + read_text(at("film.toml")));
  const auto latents = [](const std::string& script, const std::string& options) {
    const std::string file = at("attention.safetensors");
    const Result result = moga("generate " + at(script) + " --model " + at("model") + " --steps 2 --quiet --out " +
                               at("e.y4m") + " --save-latents " + file + " " + options);
    EXPECT_EQ(result.status, 0) << result.text;
    return read_text(file);
  };
  const std::string moga_latents = latents("film.toml", ""), full = latents("full.toml", "");
  EXPECT_NE(moga_latents, full);
  EXPECT_EQ(latents("film.toml", "--set transformer.moga.kind=full"), full);
  EXPECT_EQ(latents("film.toml", "--full-layers 0,1"), full);
  EXPECT_EQ(latents("film.toml", "--full-steps 2"), full);
  EXPECT_EQ(latents("full.toml", "--set transformer.moga.kind=moga"), moga_latents);
  expect_error(generate("--quiet --set transformer.moga.combine=sum --out " + at("a.y4m")), "not one of mean, lse");
  expect_error(generate("--quiet --full-layers 7 --out " + at("a.y4m")), "the blocks are 0 to 1");
}

}  // namespace
}  // namespace moga
