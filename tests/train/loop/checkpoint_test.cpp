// The errors of damaged checkpoints, and the checkpoints that they offer instead.
#include "moga/train/loop/checkpoint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

void save(const test::Folder& run, int64_t step, int64_t keep = 5) {
  save_checkpoint(run.path(),
                  {.step = step,
                   .state = {{"mark", step}},
                   .parts = {{"model", {{"w", at::full({64}, step)}}}},
                   .config = "seed = 1\n"},
                  keep);
}

std::string resume_error(const test::Folder& run, const std::string& request) {
  return test::error_of([&] { resume_checkpoint(run.path(), request); });
}

void flip_byte(const fs::path& file) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(-3, std::ios::end);
  stream.put(static_cast<char>(0x5a));
}

TEST(Checkpoint, ComesBackWhole) {
  const test::Folder run;
  save(run, 500);
  save(run, 1000);
  const Checkpoint checkpoint = *resume_checkpoint(run.path(), "auto");
  EXPECT_EQ(checkpoint.step, 1000);
  EXPECT_EQ(checkpoint.state.at("mark"), 1000);
  EXPECT_TRUE(at::equal(Safetensors(checkpoint.file_of("model")).load("w"), at::full({64}, 1000)));
  EXPECT_FALSE(resume_checkpoint(run.path() / "nothing", "auto").has_value());
}

TEST(Checkpoint, CorruptIsRefusedByNameAndTheOneBeforeOffered) {
  const test::Folder run;
  for (const int64_t step : {500, 1000, 1500}) save(run, step);
  flip_byte(run / "step-00001500/model.safetensors");
  fs::resize_file(run / "step-00001000/model.safetensors", 40);
  for (const std::string& request : {std::string("auto"), (run / "step-00001500").string() + "/"}) {
    const std::string message = resume_error(run, request);
    EXPECT_NE(message.find("step-00001500 is damaged: model.safetensors has checksum"), std::string::npos) << message;
    EXPECT_NE(message.find("--resume " + (run / "step-00000500").string()), std::string::npos) << message;
  }
  EXPECT_NE(resume_error(run, run / "step-00001000").find("has 40 bytes, expected"), std::string::npos);
}

// Changes `from` to `to` in state.json of step 500 and returns what resuming says.
std::string error_after(const std::string& from, const std::string& to) {
  const test::Folder run;
  save(run, 500);
  std::string state = read_text(run / "step-00000500/state.json");
  const size_t at = state.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in " << state;
  write_text(run / "step-00000500/state.json", state.replace(at, from.size(), to));
  return resume_error(run, "auto");
}

TEST(Checkpoint, NothingInADamagedStateIsBelieved) {
  EXPECT_EQ(error_after("\"mark\": 500", "\"mark\":   500"), "");  // the same content
  for (const auto& [from, to] : {std::pair("\"mark\": 500", "\"mark\": 501"),
                                 {"\"step\": 500", "\"step\": 400"},
                                 {"\"model.safetensors\"", "\"modem.safetensors\""},
                                 {"\"checksum\": \"", "\"checksum\": \"0"}}) {
    const std::string message = error_after(from, to);
    EXPECT_NE(message.find("step-00000500 is damaged: state.json has checksum"), std::string::npos) << to << message;
  }
  EXPECT_NE(error_after("checksum", "checksun").find("state.json has no checksum"), std::string::npos);
}

TEST(Checkpoint, PartsThatAreNotListedAreNotRead) {
  const test::Folder run;
  save(run, 500);
  const Checkpoint checkpoint = *resume_checkpoint(run.path(), "auto");
  fs::copy_file(run / "step-00000500/model.safetensors", run / "step-00000500/ema.safetensors");
  EXPECT_NE(test::error_of([&] { checkpoint.file_of("ema"); }).find("has no ema.safetensors"), std::string::npos);
}

TEST(Checkpoint, TheRootFolderIsNoCheckpoint) {
  const test::Folder run;
  EXPECT_NE(resume_error(run, "/").find("state.json is missing"), std::string::npos);
}

TEST(Checkpoint, SaysWhenNothingComesBefore) {
  const test::Folder run;
  save(run, 500);
  fs::remove(run / "step-00000500/config.toml");
  const std::string message = resume_error(run, "auto");
  EXPECT_NE(message.find("config.toml is missing; there is no complete checkpoint before it"), std::string::npos)
      << message;
  EXPECT_NE(resume_error(run, run / "step-00000007").find("no such checkpoint"), std::string::npos);
}

TEST(Checkpoint, KeepsTheNewestAndLeavesNoTemporaries) {
  const test::Folder run;
  fs::create_directories(run / ".step-00000003.partial-0123456789abcdef");  // of a run that was killed while it saved
  for (int64_t step = 1; step <= 4; ++step) save(run, step, 2);
  const auto kept = list_checkpoints(run.path());
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].filename(), "step-00000004");
  EXPECT_EQ(std::distance(fs::directory_iterator(run.path()), {}), 2);
}

}  // namespace
}  // namespace moga
