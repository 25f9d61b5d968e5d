// A run's log is read as it was taken last; damage is counted, and a folder without a run is an error.
#include "moga/plot/run_log.h"

#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

TEST(RunLogFile, StepsThatWereTakenTwiceCountAsTakenLast) {
  const test::Folder run;
  write_text(run / "log.jsonl",
             "{\"step\": 10, \"loss\": 4}\n{\"step\": 20, \"loss\": 3}\n{\"step\": 20, \"held_out_loss\": 5}\n"
             "{\"step\": 30, \"loss\": 2}\n{\"step\": 20, \"loss\": 3.5}\n{\"step\": 30, \"loss\": 2.5}\n{\"step\": 4");
  const RunLog log = read_run_log(run.path());
  EXPECT_EQ(log.damaged, 1);
  ASSERT_EQ(log.lines.size(), 3u);
  EXPECT_EQ(log.lines[1].at("loss"), 3.5);
  EXPECT_EQ(log.lines[2].at("loss"), 2.5);
  EXPECT_EQ(read_run_log(run / "log.jsonl").lines.size(), 3u);
}

TEST(RunLogFile, WhatIsNoRunIsNamed) {
  const test::Folder folder;
  const auto error = [](const std::filesystem::path& run) { return test::error_of([&] { read_run_log(run); }); };
  EXPECT_NE(error(folder.path()).find("no log.jsonl in it, expected the folder of a training run"), std::string::npos);
  EXPECT_NE(error(folder / "none").find("no such run"), std::string::npos);
  write_text(folder / "log.jsonl", "[1]\nnull\n{\"loss\": 1}\n");
  EXPECT_NE(error(folder.path()).find("holds no line of a training run"), std::string::npos);
}

TEST(RunLogFile, RunsOfOneNameAreToldApart) {
  const test::Folder folder;
  for (const char* run : {"one/model", "two/model"}) write_text(folder / run / "log.jsonl", "{\"step\": 1}\n");
  std::vector<RunLog> logs(2);
  name_apart(logs, {folder / "one/model", folder / "two/model/log.jsonl"});
  EXPECT_EQ(logs[0].name, "one/model");
  EXPECT_EQ(logs[1].name, "two/model");
  name_apart(logs, {folder / "one", folder / "two/"});
  EXPECT_EQ(logs[0].name, "one");
  EXPECT_EQ(logs[1].name, "two");
}

}  // namespace
}  // namespace moga
