// The program as its users meet it: commands on real files, good and bad. Errors are one line and exit status 1.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <thread>

#include "moga/core/files.h"
#include "moga/data/shards.h"
#include "moga/data/video.h"
#include "moga/model/transformer.h"
#include "tests/support/folder.h"
#include "tests/support/tiny_model.h"

namespace moga {
namespace {

struct Result {
  int status;
  std::string text;  // stdout and stderr
};

Result moga(const std::string& arguments, const std::string& before = "") {
  Result result{0, ""};
  FILE* pipe = popen((before + " '" MOGA_PROGRAM "' " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer;
  while (const size_t size = fread(buffer.data(), 1, buffer.size(), pipe)) result.text.append(buffer.data(), size);
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

void expect_error(const std::string& arguments, const std::string& expected) {
  const Result result = moga(arguments);
  EXPECT_EQ(result.status, 1) << result.text;
  EXPECT_NE(result.text.find(expected), std::string::npos) << result.text;
  EXPECT_EQ(result.text.find("moga: "), 0u) << result.text;
  EXPECT_EQ(std::count(result.text.begin(), result.text.end(), '\n'), 1) << result.text;
}

class Program : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::Folder;
    test::write_tiny_model(*folder_ / "model");
    write_text(*folder_ / "film.toml",
               "title = \"T\"\nsize = [48, 32]\n[[shot]]\ncaption = \"Mara waves.\"\nframes = 9\n"
               "[[shot]]\ncaption = \"Mara walks.\"\nduration = 0.5\n");
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return (*folder_ / name).string(); }
  static std::string generate(const std::string& options) {
    return "generate " + at("film.toml") + " --model " + at("model") + " " + options;
  }
  static test::Folder* folder_;
};
test::Folder* Program::folder_ = nullptr;

TEST_F(Program, EveryCommandHasAManualWithAnExample) {
  EXPECT_EQ(moga("--help").status, 0);
  for (const char* command : {"generate", "info", "export", "evaluate stories", "calibrate", "compare", "stories",
                              "flops", "plan", "bench", "bench attention", "bench block", "bench model"}) {
    const Result help = moga(std::string(command) + " --help");
    EXPECT_EQ(help.status, 0) << command;
    EXPECT_NE(help.text.find("Example:\n  moga " + std::string(command)), std::string::npos) << help.text;
  }
}

TEST_F(Program, GenerateWritesVideoAndContactSheet) {
  const Result result = moga(generate("--steps 2 --quiet --out " + at("out/film.y4m")));
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find(at("out/film.png")), std::string::npos) << result.text;
  EXPECT_NE(result.text.find("peak memory"), std::string::npos) << result.text;
  EXPECT_EQ(open_video(at("out/film.y4m"))->info().frames, 17);
  EXPECT_TRUE(std::filesystem::exists(at("out/film.png")));
}

TEST_F(Program, GenerateNamesWhatIsWrong) {
  expect_error("generate nothing.toml --model " + at("model") + " --out a.y4m", "nothing.toml");
  expect_error("generate " + at("film.toml") + " --model " + at("none") + " --out a.y4m", "none: no such folder");
  expect_error(generate("--quiet --out " + at("a.avi")), "use .mp4 or .y4m");
  expect_error("generate " + at("film.toml") + " --model none --out a.avi", "use .mp4 or .y4m");  // before the model
  expect_error(generate("--quiet --out " + at("film.toml/a.y4m")), "is not a folder");
  expect_error(generate("--quiet --steps 0 --out " + at("a.y4m")), "steps");
  expect_error(generate("--quiet --guidance -1 --out " + at("a.y4m")), "guidance = -1: expected 0 or more");
  expect_error(generate("--quiet --steps 4 --full-steps 5 --out " + at("a.y4m")), "full_steps = 5: expected 0 to 4");
  expect_error(generate("--device tpu --out " + at("a.y4m")), "tpu");
  write_text(at("bad.toml"), "title = \"T\"\n[[shot]]\ncaption = \"c\"\n");
  expect_error("generate " + at("bad.toml") + " --model " + at("model") + " --out a.y4m", "bad.toml:2: shot 1");
}

TEST_F(Program, AWrongSettingOfAScriptIsReportedOfIt) {
  write_text(at("set.toml"), "set = [\"sampler.stepz=3\"]\n" + read_text(at("film.toml")));
  for (const char* command : {"generate", "plan"}) {
    const std::string film = std::string(command) + " " + at("set.toml") + " --model " + at("model");
    const std::string out = std::string(command) == "generate" ? " --out " + at("a.y4m") : "";
    expect_error(film + out, at("set.toml") + ": unknown key 'stepz'; did you mean 'steps'?");
  }
  expect_error(generate("--set sampler.stepz=3 --out " + at("a.y4m")), "moga: command line: unknown key 'stepz'");
}

TEST_F(Program, GenerateSaysWhatItWasAskedFor) {
  const Result result = moga(generate("--steps 1 --out " + at("said.y4m")));
  EXPECT_NE(result.text.find("1 video, 30 tokens, 2 shots, evaluated with and without captions in each step"),
            std::string::npos)
      << result.text;
  const Result plain = moga(generate("--steps 1 --guidance 1 --out " + at("said.y4m")));
  EXPECT_NE(plain.text.find("1 video, 30 tokens, 2 shots; unipc"), std::string::npos) << plain.text;
}

TEST_F(Program, GenerateGoesFromGivenNoiseToSavedLatents) {
  const std::string latents = at("latents.safetensors");
  EXPECT_EQ(moga(generate("--steps 1 --quiet --save-latents " + latents + " --out " + at("b.y4m"))).status, 0);
  EXPECT_NE(moga("info " + latents).text.find("latents  float32 [4, 5, 4, 6]"), std::string::npos);
  EXPECT_EQ(moga(generate("--steps 1 --quiet --noise " + latents + " --out " + at("b.y4m"))).status, 0);
  expect_error(generate("--quiet --noise none.safetensors --out " + at("b.y4m")), "none.safetensors");
}

TEST_F(Program, AnInterruptEndsItCleanly) {
  // In the foreground: otherwise timeout signals its group as well, and a second interrupt ends the program at once.
  const std::string limit = "timeout --foreground --preserve-status --signal=INT --kill-after=20 2";
  const Result result = moga(generate("--steps 100000 --quiet --out " + at("long.y4m")), limit);
  EXPECT_EQ(result.status, 130) << result.text;
  EXPECT_EQ(result.text, "moga: interrupted\n");
  EXPECT_FALSE(std::filesystem::exists(at("long.y4m")));
  EXPECT_FALSE(std::filesystem::exists(at("long.y4m.partial")));
}

// 100 blocks over 28,000 tokens: one evaluation takes half a minute, a block a fraction of a second.
TEST_F(Program, AnInterruptEndsAnEvaluation) {
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

TEST_F(Program, AKilledRunGoesOn) {
  const std::string film = generate("--steps 100 --quiet --out ");
  EXPECT_EQ(moga(film + at("whole.y4m")).status, 0);
  const std::string command = "{ '" MOGA_PROGRAM "' " + film + at("killed.y4m") + " --keep-every 0 & while [ ! -e " +
                              at("killed.y4m.resume") + " ]; do sleep 0.02; done; kill -9 $!; wait $!; } 2>/dev/null";
  EXPECT_NE(std::system(command.c_str()), 0);
  expect_error(film + at("killed.y4m"), "go on with --resume");
  EXPECT_EQ(moga(film + at("killed.y4m") + " --resume").status, 0);
  EXPECT_EQ(read_text(at("killed.y4m")), read_text(at("whole.y4m")));
  EXPECT_FALSE(std::filesystem::exists(at("killed.y4m.resume")));
}

TEST_F(Program, InfoSaysWhatThingsAre) {
  EXPECT_NE(moga("info " + at("model")).text.find("a model folder"), std::string::npos);
  EXPECT_NE(moga("info " + at("film.toml")).text.find("2 shots"), std::string::npos);
  expect_error("info " + at("nothing"), "no such file or folder");
}

TEST_F(Program, ExportWritesAFolderThatGenerates) {
  const Result result = moga("export " + at("model") + " --layout wan --quiet --out " + at("exported"));
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("a model folder"), std::string::npos) << result.text;
  EXPECT_EQ(result.text.find("missing"), std::string::npos) << result.text;
  const std::string film = at("film.toml") + " --model " + at("exported") + " --steps 1 --quiet --out " + at("c.y4m");
  EXPECT_EQ(moga("generate " + film).status, 0);
  expect_error("export " + at("model") + " --out " + at("exported"), "exists already");
  expect_error("export " + at("model") + " --layout onnx --out " + at("other"), "--layout");
}

TEST_F(Program, StoriesAndEvaluationWriteTheirFiles) {
  const Result stories = moga("stories --width 112 --height 64 --frames 65 --count 1 --seed 3 --out " + at("stories"));
  EXPECT_EQ(stories.status, 0) << stories.text;
  EXPECT_EQ(moga("info " + at("stories/story-3.toml")).status, 0);
  const Result evaluation =
      moga("evaluate stories --model " + at("model") +
           " --stories 1 --steps 1 --width 112 --height 64 --frames 65 --quiet --out " + at("evaluation"));
  EXPECT_EQ(evaluation.status, 0) << evaluation.text;
  EXPECT_NE(evaluation.text.find("shirts"), std::string::npos) << evaluation.text;
  EXPECT_TRUE(std::filesystem::exists(at("evaluation/evaluation.json")));
}

TEST_F(Program, CalibrateWritesAFolderThatGenerates) {
  const std::string command =
      "calibrate --model " + at("model") + " --script " + at("film.toml") + " --steps 2 --quiet";
  const Result result = moga(command + " --set transformer.moga.combine=lse --out " + at("calibrated") + " --json " +
                             at("calibration.json"));
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("error lse"), std::string::npos) << result.text;
  EXPECT_NE(read_text(at("calibration.json")).find("\"calibrated\""), std::string::npos);
  const std::string film = at("film.toml") + " --model " + at("calibrated") + " --steps 1 --quiet --out " + at("d.y4m");
  EXPECT_EQ(moga("generate " + film).status, 0);
  expect_error(command + " --out " + at("calibrated"), "exists already");
  expect_error(command + " --out " + at("other") + " --metric cosine", "not one of spherical, euclidean");
}

TEST_F(Program, CompareSaysHowFarResultsAreApart) {
  EXPECT_NE(moga("compare " + at("model/vae") + " " + at("model/vae")).text.find("equal bit for bit"),
            std::string::npos);
  expect_error("compare " + at("film.toml") + " " + at("model/vae"), "expected two safetensors or two videos");
}

TEST_F(Program, AttentionComesFromScriptAndCommandLine) {
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

TEST_F(Program, FlopsPrintsThePapersFigures) {
  const Result result = moga("flops --frames 477 --run-frames 30 --boundary-frames 0");
  EXPECT_NE(result.text.find("187200 tokens"), std::string::npos) << result.text;
  double full = 0, own = 0;
  std::sscanf(result.text.c_str() + result.text.find("\ntotal"), " total %lf %lf", &full, &own);
  EXPECT_NEAR(full, 6.94, 0.0694);
  EXPECT_NEAR(own, 2.26, 0.0452);
  expect_error("flops --size 12", "--size is '12', expected two numbers");
  expect_error("flops --model 7B", "expected 1.3B, 14B, a config.json or a model folder");
  expect_error("flops --frames -3", "--frames is -3 frames, expected 1 to");
  expect_error("flops --size 853x480", "must be multiples of 16");
}

TEST_F(Program, BenchPrintsATableAndWritesJson) {
  const std::string sizes = " --rows 4 --columns 4 --tokens 64 --shots 2 --repeats 1 --warm-up 1 --quiet";
  for (const char* part : {"attention", "block", "model"}) {
    const Result result = moga("bench " + std::string(part) + sizes + " --json " + at("bench.json"));
    EXPECT_EQ(result.status, 0) << result.text;
    EXPECT_NE(result.text.find("TFLOP/s"), std::string::npos) << result.text;
    EXPECT_NE(read_text(at("bench.json")).find("\"bench\": \"" + std::string(part)), std::string::npos);
  }
  expect_error("bench attention --tokens 100", "not a number of frames of 8x12 = 96 tokens");
  expect_error("bench attention --cases equal", "case 'equal' is not one of");
  expect_error("bench block --dtype int8", "dtype 'int8' is unknown");
}

TEST_F(Program, PlanPredictsAGeneration) {
  const Result result =
      moga("plan " + at("film.toml") + " --model " + at("model") + " --steps 3 --quiet --json " + at("plan.json"));
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("denoise"), std::string::npos) << result.text;
  EXPECT_NE(result.text.find("it fits"), std::string::npos) << result.text;
  EXPECT_NE(read_text(at("plan.json")).find("\"peak_bytes\""), std::string::npos);
  expect_error("plan " + at("film.toml") + " --model 7B", "expected 1.3B, 14B");
}

TEST_F(Program, PlanPredictsATrainingRun) {
  ShardWriter writer(at("shards"), 1);
  writer.add({::at::zeros({4, 3, 8, 12}), {3}, {"Mara waves."}});
  writer.finish();
  write_text(at("train.toml"),
             "tokenizer = \"" + at("model/tokenizer") + "\"\n[transformer]\nnum_attention_heads = 2\n"
             "attention_head_dim = 12\nin_channels = 4\nout_channels = 4\ntext_dim = 16\nfreq_dim = 16\n"
             "ffn_dim = 32\nnum_layers = 2\ntext_len = 8\n[text_encoder]\nvocab_size = 64\nd_model = 16\n"
             "d_kv = 8\nd_ff = 32\nnum_layers = 1\nnum_heads = 2\n[[stage]]\nname = \"short\"\nbatch = 2\n"
             "data = \"" + at("shards") + "\"\n");
  const Result result = moga("plan --train " + at("train.toml") + " --set stage.0.steps=7 --device cpu --quiet");
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("7 train steps"), std::string::npos) << result.text;
  EXPECT_NE(result.text.find("\nshort "), std::string::npos) << result.text;
  expect_error("plan --quiet", "give a SCRIPT or --train CONFIG");
}

TEST_F(Program, UnknownCommandsAndOptionsAreNamed) {
  expect_error("", "A subcommand is required");
  expect_error("generat film.toml", "moga: no command 'generat'; did you mean 'generate'?");
  expect_error("bench blok --quiet", "moga: no command 'blok'; did you mean 'block'?");
  expect_error("paint film.toml", "moga: no command 'paint'; see moga --help");
  expect_error(generate("--out " + at("a.y4m") + " --stepz 3"), "no option '--stepz'; did you mean '--steps'?");
  expect_error(generate("--ou=" + at("a.y4m")), "moga: no option '--ou'; did you mean '--out'?");
  expect_error(generate("--colour red --out " + at("a.y4m")), "no option '--colour'; see moga generate --help");
  expect_error(generate(""), "--out is required; see moga generate --help");
  expect_error("--versio", "moga: no option '--versio'; did you mean '--version'?");
}

TEST_F(Program, VersionNamesWhatItIsBuiltOf) {
  const Result result = moga("--version");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.text.find("moga " MOGA_VERSION "\nLibTorch 2."), 0u) << result.text;
  EXPECT_NE(result.text.find("CUDA kernels"), std::string::npos) << result.text;
}

}  // namespace
}  // namespace moga
