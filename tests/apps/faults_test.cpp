// Faults that ended in silence, a crash or a foreign library's text: each is one line now, or does what was asked.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/core/safetensors.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "tests/apps/program.h"

namespace moga {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::moga;
using test::Result;

class Faults : public test::Program {
 protected:
  // A copy of the tiny model with another text in one of its files.
  static std::string model_with(const std::string& name, const std::string& file, const std::string& text) {
    fs::copy(at("model"), at(name), fs::copy_options::recursive);
    write_text(fs::path(at(name)) / file, text);
    return at(name);
  }
  static std::string film(const std::string& model, const std::string& options) {
    return "generate " + at("film.toml") + " --model " + model + " --quiet --steps 1 " + options;
  }
};

TEST_F(Faults, NumbersBeyondTheirRangeAreRefused) {
  const std::string range =
      "is 18446744073709551615, expected a whole number from -9223372036854775808 to 9223372036854775807";
  expect_error(generate("--seed 18446744073709551615 --out " + at("a.y4m")), "--seed: " + range);
  for (const char* steps : {"18446744073709551615", "100001", "0", "-1"})
    expect_error(generate(std::string("--steps ") + steps + " --out " + at("a.y4m")),
                 std::string("--steps: is ") + steps + ", expected a whole number from 1 to 100000");
  expect_error(generate("--set sampler.steps=0 --out " + at("a.y4m")), "steps = 0: expected 1 to 100000");
  expect_error("stories --out " + at("s") + " --count 0", "--count: is 0, expected a whole number from 1 on");
  expect_error("stories --out " + at("s") + " --seed 18446744073709551615", "--seed: " + range);
  expect_error("stories --out " + at("s") + " --seed 9223372036854775807", "expected 0 to 9223372036854775806");
  write_text(at("seed.toml"), "seed = 18446744073709551615\n" + read_text(at("film.toml")));
  expect_error("generate " + at("seed.toml") + " --model " + at("model") + " --out " + at("a.y4m"),
               "seed.toml:1: seed: expected a whole number from -9223372036854775808 to 9223372036854775807, found "
               "18446744073709551615");
}

TEST_F(Faults, WrongTypesInConfigsAreNamed) {
  const auto flops = [](const std::string& text) {
    write_text(at("config.json"), text);
    return "flops --model " + at("config.json");
  };
  expect_error(flops(R"({"dim": 64, "num_heads": 0})"),
               "config.json: num_heads: expected a whole number from 1 on, found 0");
  expect_error(flops(R"({"dim": 64, "num_heads": "5"})"), "num_heads: expected a whole number from 1 on, found \"5\"");
  expect_error(flops(R"({"num_layers": )" + std::string(1000000, '[')), "config.json: is nested more than 127 deep");
  EXPECT_EQ(moga(flops(R"({"_class_name": "WanTransformer3DModel", "num_layers": 2.0, "qk_norm": null})")).status, 0);
  const std::string scheduler = "scheduler/scheduler_config.json";
  expect_error(film(model_with("m1", scheduler, R"({"solver": "unipc", "flow_shift": "3.0"})"), "--out " + at("a.y4m")),
               "scheduler_config.json: flow_shift: expected a number, found \"3.0\"");
  expect_error(film(model_with("m2", scheduler, R"({"_class_name": ["x"]})"), "--out " + at("a.y4m")),
               "scheduler_config.json: _class_name: expected a string, found array");
}

TEST_F(Faults, OnlyFilesAreReadAsFiles) {
  mkfifo(at("pipe.toml").c_str(), 0600);
  expect_error("info " + at("pipe.toml"), "is a pipe, expected a file");
  expect_error("generate " + at("pipe.toml") + " --model " + at("model") + " --out " + at("a.y4m"), "is a pipe");
  expect_error("info /dev/zero", "/dev/zero: is a device, expected a file");
  std::string key = "sampler";
  for (int i = 0; i < 30000; ++i) key += ".a";
  expect_error(generate("--out " + at("a.y4m") + " --set " + key + "=1"), "the key has more than 127 parts");
}

TEST_F(Faults, AMessageDoesNotRepeatALongSetting) {
  const std::string longer(30000, 'x');
  for (const std::string& setting : {longer, longer + "=1", "sampler." + longer + "=1", "sampler.steps=" + longer,
                                     "sampler.solver=" + longer, "transformer.moga.kind=" + longer}) {
    const Result result = moga(generate("--quiet --out " + at("a.y4m") + " --set " + setting));
    EXPECT_EQ(result.status, 1);
    EXPECT_LT(result.text.size(), 1000) << setting.substr(0, 40);
    EXPECT_NE(result.text.find(std::string(60, 'x')), std::string::npos) << result.text.substr(0, 1000);
  }
}

TEST_F(Faults, WhatIsPrintedHasNoControlCodes) {
  save_safetensors(at("odd.safetensors"), {{"a\x1b[31mb", ::at::ones({2})}}, {{"k\x1b", "v\x1b]0;t\x07"}});
  const Result result = moga("info " + at("odd.safetensors"));
  EXPECT_EQ(result.text.find('\x1b'), std::string::npos) << result.text;
  EXPECT_NE(result.text.find("a\\x1b[31mb"), std::string::npos) << result.text;
  expect_error("info '" + at("none\x1b[31m") + "'", "none\\x1b[31m: no such file");
}

TEST_F(Faults, OutputsAreCheckedBeforeTheWork) {
  fs::create_directories(at("sheet.png"));
  expect_error("generate " + at("film.toml") + " --model none --out " + at("sheet.y4m"), "sheet.png: is a folder");
  const std::string name(248, 'n');
  expect_error("generate " + at("film.toml") + " --model none --out " + at(name + ".y4m"),
               "the file system allows 255");
  mkfifo(at("pipe.mp4").c_str(), 0600);
  expect_error("generate " + at("film.toml") + " --model none --out " + at("pipe.mp4"), "is a pipe or device");
  expect_error("generate " + at("film.toml") + " --model none --out /dev/null/film.y4m", "/dev/null is not a folder");
}

TEST_F(Faults, AnExistingVideoIsReplacedWithALineAndALinkStays) {
  fs::create_symlink("real.y4m", at("link.y4m"));
  const std::string film = generate("--steps 1 --out " + at("link.y4m"));
  EXPECT_EQ(moga(film).text.find("will be replaced"), std::string::npos);
  EXPECT_TRUE(fs::is_symlink(at("link.y4m")));
  EXPECT_EQ(open_video(at("real.y4m"))->info().frames, 17);
  EXPECT_NE(moga(film).text.find("link.y4m: exists, will be replaced"), std::string::npos);
}

TEST_F(Faults, TheFramesOfTheVideoAreSaidWhenTheyAreOthers) {
  write_text(at("six.toml"), "size = [48, 32]\n[[shot]]\ncaption = \"Mara waves.\"\nframes = 6\n");
  const std::string command =
      "generate " + at("six.toml") + " --model " + at("model") + " --steps 1 --out " + at("six.y4m");
  EXPECT_NE(moga(command).text.find("the script asks for 6 frames, the video has 5"), std::string::npos);
  EXPECT_NE(moga("generate --help").text.find("A video has 1 + 4k frames"), std::string::npos);
}

TEST_F(Faults, AMistypedSettingIsReportedBeforeAKeptState) {
  write_text(at("old.y4m.resume"), "not a state");
  expect_error(generate("--set sampler.stepz=3 --out " + at("old.y4m")), "unknown key 'stepz'");
  expect_error(generate("--quiet --out " + at("old.y4m")), "old.y4m.resume: ");
}

TEST_F(Faults, AScriptWithoutASizeHasTheModelsOwn) {
  write_text(at("small.toml"), "[[shot]]\ncaption = \"Mara waves.\"\nframes = 5\n");
  const std::string model =
      model_with("sized", "model_index.json", R"({"_class_name": "WanPipeline", "_moga": {"size": [64, 48]}})");
  const std::string film = "generate " + at("small.toml") + " --steps 1 --quiet --out " + at("small.y4m") + " --model ";
  EXPECT_EQ(moga(film + model).status, 0);
  EXPECT_EQ(open_video(at("small.y4m"))->info().width, 64);
  EXPECT_NE(moga("info " + model).text.find("size: 64x48"), std::string::npos);
  expect_error(
      film + model_with("odd", "model_index.json", R"({"_class_name": "WanPipeline", "_moga": {"size": [64]}})"),
      "expected [width, height]");
}

TEST_F(Faults, TwoRunsOfOneNameLeaveTheFilesOfOne) {
  const auto film = [](int seed, const std::string& out) {
    return generate("--steps 1 --quiet --seed " + std::to_string(seed) + " --out " + at(out));
  };
  for (const int seed : {1, 2}) EXPECT_EQ(moga(film(seed, "seed" + std::to_string(seed) + ".y4m")).status, 0);
  const std::string program = "'" MOGA_PROGRAM "' ";
  const std::string both =
      program + film(1, "both.y4m") + " >/dev/null & " + program + film(2, "both.y4m") + " >/dev/null; wait";
  for (int trial = 0; trial < 3; ++trial) {
    EXPECT_EQ(std::system(both.c_str()), 0);
    const bool first = read_text(at("both.y4m")) == read_text(at("seed1.y4m"));
    const std::string winner = first ? "seed1" : "seed2";
    EXPECT_EQ(read_text(at("both.y4m")), read_text(at(winner + ".y4m")));
    EXPECT_TRUE(::at::equal(load_png(at("both.png")), load_png(at(winner + ".png"))));
  }
}

TEST_F(Faults, CompareHasASummaryAndAnExitStatus) {
  save_safetensors(at("x.safetensors"), {{"x", ::at::ones({4})}, {"y", ::at::ones({4})}});
  save_safetensors(at("z.safetensors"), {{"x", ::at::ones({4})}, {"y", ::at::full({4}, 1.25)}});
  const std::string compare = "compare " + at("z.safetensors") + " " + at("x.safetensors");
  EXPECT_EQ(moga(compare).status, 1);
  EXPECT_NE(moga(compare).text.find("moga: y differs: relative error 0.25, tolerance 0"), std::string::npos);
  const Result near = moga(compare + " --tolerance 0.3 --json " + at("difference.json"));
  EXPECT_EQ(near.status, 0);
  EXPECT_NE(near.text.find("2 compared, 1 equal bit for bit; largest relative error 2.500e-01 in y"),
            std::string::npos);
  EXPECT_NE(read_text(at("difference.json")).find("\"relative_error\": 0.25"), std::string::npos);
}

TEST_F(Faults, InfoKnowsTrainingConfigsAndPictures) {
  write_text(at("vae.toml"), "out = \"runs/v\"\ncrop = 64\n");
  EXPECT_NE(moga("info " + at("vae.toml")).text.find("training config of a VAE"), std::string::npos);
  write_text(
      at("video.toml"),
      "tokenizer = \"t\"\n[flow]\nshift = 4\n[samples.sampler]\nsteps = 9\n[[stage]]\ndata = \"d\"\nsteps = 7\n");
  EXPECT_NE(
      moga("info " + at("video.toml"))
          .text.find("main: 7 steps of batch 16, data d\n  trained with shift 4; the model's sampler: unipc, 9 steps"),
      std::string::npos);
  save_png(at("picture.png"), ::at::zeros({3, 4, 6}, ::at::kByte));
  EXPECT_NE(moga("info " + at("picture.png")).text.find("PNG picture, 6x4"), std::string::npos);
  EXPECT_NE(moga("info " + at("model")).text.find("sampler: "), std::string::npos);
  EXPECT_NE(
      moga("flops --size 48x32 --frames 9 --model " + at("model/transformer/config.json")).text.find("MFLOP a forward"),
      std::string::npos);
}

TEST_F(Faults, InfoAndFlopsWriteJson) {
  const auto json = [](const std::string& command) {
    const Result result = moga(command + " --json " + at("said.json"));
    EXPECT_EQ(result.status, 0) << result.text;
    return nlohmann::json::parse(read_text(at("said.json")));
  };
  const nlohmann::json model = json("info " + at("model"));
  EXPECT_EQ(model["kind"], "model");
  EXPECT_GT(model["parts"]["transformer"]["values"], 1000);
  EXPECT_TRUE(model["missing"].empty());
  EXPECT_EQ(json("info " + at("film.toml"))["size"], nlohmann::json({48, 32}));
  const std::string tensors = at("model/vae/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(json("info " + tensors)["kind"], "tensors");
  const nlohmann::json flops = json("flops --model " + at("model/transformer/config.json"))["flop"];
  EXPECT_GT(flops["full"]["total"], flops["moga"]["total"]);
}

TEST_F(Faults, KnownPromptsAndNoiseAreOneWordAway) {
  const auto latents = [](const std::string& options) {
    EXPECT_EQ(moga(generate("--steps 1 --quiet --out " + at("n.y4m") + " --save-latents " + at("n.safetensors") + " " +
                            options))
                  .status,
              0);
    return Safetensors(at("n.safetensors")).load("latents");
  };
  const ::at::Tensor own = latents("");
  EXPECT_FALSE(::at::equal(own, latents("--noise-from diffusers")));
  EXPECT_FALSE(::at::equal(latents("--guidance 3"), latents("--guidance 3 --negative wan")));
  EXPECT_TRUE(::at::equal(own, latents("--noise-from moga --negative none")));
  expect_error(generate("--out " + at("n.y4m") + " --noise-from torch"), "'torch' is not one of moga, diffusers");
  expect_error(generate("--out " + at("n.y4m") + " --negative wan --negative-prompt x"), "--negative");
}

#ifdef MOGA_FFMPEG
TEST_F(Faults, AFilmCarriesItsScript) {
  const std::string film = generate("--steps 1 --seed 5 --guidance 2 --quiet --out " + at("film.mp4"));
  EXPECT_EQ(moga(film).status, 0);
  const Result info = moga("info " + at("film.mp4"));
  EXPECT_NE(info.text.find("seed = 5, 2 shots"), std::string::npos) << info.text;
  EXPECT_NE(info.text.find("model = model"), std::string::npos) << info.text;
  EXPECT_EQ(moga("info " + at("film.png") + " --reproduce").text, moga("info " + at("film.mp4") + " --reproduce").text);
  write_text(at("again.toml"), moga("info " + at("film.mp4") + " --reproduce").text);
  const std::string again =
      "generate " + at("again.toml") + " --model " + at("model") + " --quiet --out " + at("again.mp4");
  EXPECT_EQ(moga(again).status, 0);
  EXPECT_EQ(read_text(at("again.mp4")), read_text(at("film.mp4")));
  expect_error("info " + at("film.toml") + " --reproduce", "film.toml: ");
}
#endif

}  // namespace
}  // namespace moga
