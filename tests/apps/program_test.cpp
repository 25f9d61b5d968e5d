// The program as its users meet it: commands on real files, good and bad. Errors are one line and exit status 1.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "moga/core/files.h"
#include "moga/data/dataset/shards.h"
#include "tests/apps/program.h"

namespace moga {
namespace {

using test::expect_error;
using test::moga;
using test::Program;
using test::Result;

// The names that a manual lists under "Subcommands:", indented by two spaces.
std::vector<std::string> subcommands(const std::string& manual) {
  std::istringstream lines(manual.substr(std::min(manual.find("\nSubcommands:\n"), manual.size())));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() && !names.empty()) break;
    if (line.rfind("  ", 0) == 0 && line[2] != ' ') names.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return names;
}

// Checks the manual of a command and of all commands below it, and returns their names.
std::vector<std::string> expect_manuals(const std::string& command) {
  const Result help = moga(command + " --help");
  EXPECT_EQ(help.status, 0) << command;
  std::vector<std::string> checked = {command};
  const std::vector<std::string> below = subcommands(help.text);
  for (const std::string& name : below)
    for (const std::string& found : expect_manuals(command + " " + name)) checked.push_back(found);
  // `moga`, `moga evaluate` and `moga prepare` only hold other commands.
  if (!below.empty() && help.text.find("Example:") == std::string::npos) return checked;
  EXPECT_NE(help.text.find("Example:\n  moga" + command), std::string::npos) << help.text;
  return checked;
}

TEST_F(Program, EveryCommandHasAManualWithAnExample) {
  const std::vector<std::string> commands = expect_manuals("");
  for (const char* command : {" generate",       " info",
                              " export",         " evaluate stories",
                              " evaluate films", " calibrate",
                              " inspect",        " serve",
                              " compare",        " stories",
                              " flops",          " plan",
                              " bench",          " bench attention",
                              " bench block",    " bench model",
                              " bench products", " bench train",
                              " bench vae",      " prepare stories",
                              " prepare videos", " prepare tokenizer",
                              " train",          " plot",
                              " train vae",      " train text",
                              " train preview",  " doctor"})
    EXPECT_EQ(std::count(commands.begin(), commands.end(), command), 1) << command;
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

TEST_F(Program, EvaluateFilmsMeasuresWithTheModelsThatAreThere) {
  ASSERT_EQ(moga("stories --width 112 --height 64 --frames 33 --count 1 --seed 4 --out " + at("drawn")).status, 0);
  write_text(at("drawn/broken.mp4"), "not a film");
  const std::string models = " --device cpu --models " MOGA_FILM_FIXTURES "/models";
  const Result result = moga("evaluate films " + at("drawn") + models + " --out " + at("numbers"));
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("not measured: " + at("drawn/broken.mp4")), std::string::npos) << result.text;
  EXPECT_NE(result.text.find("copies of its first frame"), std::string::npos) << result.text;
  EXPECT_NE(read_text(at("numbers/films.json")).find("\"subject_consistency\": 0."), std::string::npos);
  EXPECT_NE(read_text(at("numbers/films.csv")).find("story-4.mp4,33,"), std::string::npos);
  const Result without = moga("evaluate films --models " + at("none") + " " + at("drawn/story-4.mp4"));
  EXPECT_EQ(without.status, 0) << without.text;
  EXPECT_NE(without.text.find("https://huggingface.co/openai/clip-vit-base-patch32"), std::string::npos)
      << without.text;
  expect_error("evaluate films --quiet" + models + " " + at("drawn/broken.mp4"), "broken.mp4");
  expect_error("evaluate films --batch 0 " + at("drawn"), "--batch: is 0, expected a whole number from 1 on");
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

TEST_F(Program, InspectWritesAPage) {
  const std::string of = " --model " + at("model") + " --quiet --out ";
  const Result result = moga("inspect " + at("film.toml") + of + at("routing"));
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("ARI layer"), std::string::npos) << result.text;
  for (const char* name : {"index.html", "inspect.json", "sheets"})
    EXPECT_TRUE(std::filesystem::exists(at("routing/" + std::string(name)))) << name;
  expect_error("inspect " + at("film.toml") + of + at("routing"), "exists already");
  expect_error("inspect " + at("film.toml") + of + at("r2") + " --layers 7", "layer 7 was asked for");
  expect_error("inspect" + of + at("r2"), "give a SCRIPT, or --story SEED");
  EXPECT_FALSE(std::filesystem::exists(at("r2")));
}

TEST_F(Program, PlotDrawsRunsAndNamesWhatIsNone) {
  write_text(at("run-a/log.jsonl"), "{\"step\": 1, \"loss\": 2.5, \"seconds\": 3}\n{\"step\": 2, \"loss\": 2}\n{\"ste");
  const Result result = moga("plot " + at("run-a") + " --smooth 3 --out " + at("plot"));
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("1 line is damaged and left out"), std::string::npos) << result.text;
  for (const char* name : {"plot.html", "plot.svg", "plot.png"})
    EXPECT_TRUE(std::filesystem::exists(at("plot/" + std::string(name)))) << name;
  expect_error("plot " + at("model") + " --out " + at("p2"),
               "no log.jsonl in it, expected the folder of a training run");
  expect_error("plot " + at("run-a") + " --axis days --out " + at("p2"), "--axis 'days' is not one of step, hours");
  EXPECT_FALSE(std::filesystem::exists(at("p2")));
}

TEST_F(Program, InspectIgnoresNothing) {
  const std::string story = "inspect --story 3 --quiet --model " + at("model") + " --out " + at("story");
  expect_error(story + " --steps 4", "are for a generation");
  expect_error(story + " --at-steps 1", "--at-steps is for a generation");
  expect_error(story + " --timesteps 0", "timestep 0, expected above 0 and up to 1000");
  expect_error("inspect " + at("film.toml") + " --model " + at("model") + " --out " + at("story") + " --timesteps 500",
               "--timesteps is for --story and --video");
}

TEST_F(Program, InspectComparesAStoryWithItsMasks) {
  const std::string story = "inspect --story 3 --frames 33 --size 112x64 --timesteps 500 --quiet --model ";
  const Result even = moga(story + at("model") + " --out " + at("even"));
  EXPECT_EQ(even.status, 0) << even.text;
  EXPECT_NE(even.text.find("background"), std::string::npos) << even.text;
  const Result full = moga(story + at("model") + " --set transformer.moga.kind=full --out " + at("full"));
  EXPECT_NE(full.text.find("the model has no routers"), std::string::npos) << full.text;
}

TEST_F(Program, CompareSaysHowFarResultsAreApart) {
  EXPECT_NE(moga("compare " + at("model/vae") + " " + at("model/vae")).text.find("equal bit for bit"),
            std::string::npos);
  expect_error("compare " + at("film.toml") + " " + at("model/vae"), "expected two safetensors or two videos");
}

TEST_F(Program, FlopsPrintsThePapersFigures) {
  const Result result = moga("flops --frames 477 --run-frames 30 --boundary-frames 0");
  EXPECT_NE(result.text.find("187200 tokens"), std::string::npos) << result.text;
  double full = 0, own = 0;
  std::sscanf(result.text.c_str() + result.text.find("\ntotal"), " total %lf %lf", &full, &own);
  EXPECT_NEAR(full, 6.94, 0.0694);
  EXPECT_NEAR(own, 2.26, 0.0452);
  expect_error("flops --size 12", "--size is '12', expected two numbers");
  expect_error("flops --model 7B",
               "expected 1.3B, 14B, I2V-14B, A14B, I2V-A14B, TI2V-5B, MMDiT-2B, a config.json or a model folder");
  expect_error("flops --frames -3", "--frames is -3 frames, expected 1 to");
  expect_error("flops --size 853x480", "must be multiples of 16");
}

TEST_F(Program, BenchPrintsATableAndWritesJson) {
  const std::string sizes = " --rows 4 --columns 4 --tokens 64 --shots 2 --repeats 1 --warm-up 1 --quiet";
  for (const char* part : {"attention", "block", "model", "products"}) {
    const Result result = moga("bench " + std::string(part) + sizes + " --json " + at("bench.json"));
    EXPECT_EQ(result.status, 0) << result.text;
    EXPECT_NE(result.text.find("TFLOP/s"), std::string::npos) << result.text;
    EXPECT_NE(read_text(at("bench.json")).find("\"bench\": \"" + std::string(part)), std::string::npos);
  }
  const Result vae =
      moga("bench vae --frames 5 --size 48x32 --model " + at("model") + " --repeats 1 --warm-up 0 --quiet");
  EXPECT_EQ(vae.status, 0) << vae.text;
  EXPECT_NE(vae.text.find("decode"), std::string::npos) << vae.text;
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
  expect_error("plan " + at("film.toml") + " --model 7B",
               "expected 1.3B, 14B, I2V-14B, A14B, I2V-A14B, TI2V-5B, MMDiT-2B");
}

TEST_F(Program, PlanPredictsATrainingRun) {
  write_text(at("plan.toml"), test::tiny_training(at("model/tokenizer"), at("plan_shards")));
  const Result result = moga("plan --train " + at("plan.toml") + " --set stage.0.steps=7 --device cpu --quiet");
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("7 train steps"), std::string::npos) << result.text;
  EXPECT_NE(result.text.find("\nshort "), std::string::npos) << result.text;
  expect_error("plan --quiet", "give a SCRIPT or --train CONFIG");
}

TEST_F(Program, TrainWritesAModel) {
  write_text(at("train.toml"), test::tiny_training(at("model/tokenizer"), at("train_shards")));
  const std::string command = "train " + at("train.toml") + " --set out=" + at("run");
  const Result result = moga(command + " --set stage.0.steps=2");
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_TRUE(std::filesystem::exists(at("run/model"))) << result.text;
  EXPECT_NE(read_text(at("run/config.toml")).find("steps = 2"), std::string::npos);
  expect_error(command + " --set stage.0.stepz=2", "unknown key 'stepz'");
  expect_error("train", "CONFIG is required");
}

TEST_F(Program, TrainOnTwoRanksWritesOneModel) {
  write_text(at("ranks.toml"), test::tiny_training(at("model/tokenizer"), at("ranks_shards")));
  const std::string command = "train " + at("ranks.toml") + " --gpus 2 --set stage.0.steps=2 --set out=" + at("ranks");
  const Result result = moga(command);
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("on 2 ranks: data 1 x sequence 2"), std::string::npos) << result.text;
  EXPECT_TRUE(std::filesystem::exists(at("ranks/model"))) << result.text;
  expect_error(command + " --set out=" + at("other") + " --set parallel.data=3", "does not fill the 2 rank(s)");
}

TEST_F(Program, BenchTrainMeasuresTwoRanksTogether) {
  const Result result = moga("bench train --device cpu --gpus 2 --repeats 1 --warm-up 1 --quiet");
  EXPECT_EQ(result.status, 0) << result.text;
  EXPECT_NE(result.text.find("data 1 x sequence 2"), std::string::npos) << result.text;
}

TEST_F(Program, TrainVaeAndTrainTextWriteTheirModels) {
  write_text(at("vae.toml"),
             "device = \"cpu\"\nsteps = 2\nbatch = 1\nframes = 5\ncrop = 32\npool = 1\nrenew_every = 0\n"
             "statistics_clips = 1\nsample_every = 0\n[model]\nbase_dim = 8\nz_dim = 4\ndim_mult = [1, 1, 1, 1]\n"
             "num_res_blocks = 1\n[stories]\nwidth = 48\nheight = 32\nframes = 9\nmin_shots = 1\nmax_shots = 1\n");
  const Result vae = moga("train vae " + at("vae.toml") + " --set out=" + at("vae"));
  EXPECT_EQ(vae.status, 0) << vae.text;
  EXPECT_TRUE(std::filesystem::exists(at("vae/model"))) << vae.text;
  write_text(at("text.toml"), "device = \"cpu\"\ntokenizer = \"" + at("model/tokenizer") +
                                  "\"\ntext_len = 24\nsteps = 2\nbatch = 2\nheld_out = 2\n[model]\nvocab_size = 64\n"
                                  "d_model = 16\nd_kv = 8\nd_ff = 32\nnum_layers = 1\nnum_heads = 2\n");
  const Result text = moga("train text " + at("text.toml") + " --set out=" + at("text"));
  EXPECT_EQ(text.status, 0) << text.text;
  EXPECT_TRUE(std::filesystem::exists(at("text"))) << text.text;
  expect_error("train vae " + at("none.toml"), "none.toml");
  expect_error("train text " + at("none.toml"), "none.toml");
}

TEST_F(Program, PrepareMakesShardsAndATokenizer) {
  const std::string story =
      " --count 2 --set story.width=48 --set story.height=32 --set story.frames=9 "
      "--set story.min_shots=1 --set story.max_shots=1";
  const Result shards =
      moga("prepare stories --set device=cpu --vae " + at("model/vae") + story + " --out " + at("prepared"));
  EXPECT_EQ(shards.status, 0) << shards.text;
  EXPECT_EQ(ShardDataset(at("prepared")).size(), 2);
  const Result tokenizer = moga("prepare tokenizer --count 40 --vocab 150 --out " + at("spiece.model"));
  EXPECT_EQ(tokenizer.status, 0) << tokenizer.text;
  EXPECT_TRUE(std::filesystem::exists(at("spiece.model")));
  expect_error("prepare stories --vae " + at("none") + story + " --out " + at("other"), at("none"));
  expect_error("prepare tokenizer --count 2", "--out is required");
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
