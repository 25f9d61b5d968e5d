// What log lines, progress and JSON logs look like.
#include "moga/core/log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/core/log_pause.h"
#include "moga/core/progress_watch.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

// What `work` writes to stderr when it is not quiet.
template <class Work>
std::string output_of(Work work) {
  set_quiet(false);
  testing::internal::CaptureStderr();
  work();
  set_quiet(true);
  return testing::internal::GetCapturedStderr();
}

TEST(Log, ALineHasItsPartsAndOnceIsOnce) {
  EXPECT_EQ(output_of([] { log_info("groups ", 5, " of ", 2.5); }), "groups 5 of 2.5\n");
  EXPECT_EQ(output_of([] {
              for (int i = 0; i < 3; ++i) log_once("log_test", "backend cpu");
            }),
            "backend cpu\n");
}

TEST(Log, QuietSaysNothing) {
  testing::internal::CaptureStderr();
  log_info("hidden");
  Progress("denoise", 1, "step").advance();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Log, APauseEndsAndNests) {
  EXPECT_EQ(output_of([] {
              {
                const LogPause pause;
                { const LogPause inner; }
                log_info("hidden");
              }
              log_info("said");
            }),
            "said\n");
  testing::internal::CaptureStderr();
  { const LogPause pause; }  // within --quiet
  log_info("hidden");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(ProgressWatch, SeesProgressThatIsNotPrinted) {
  std::string seen;
  {
    const ProgressWatch watch([&](const ProgressState& state) {
      seen += state.label + " " + std::to_string(state.done) + "/" + std::to_string(state.total) + " ";
      EXPECT_EQ(state.seconds_per_unit > 0, state.done > 2);
    });
    Progress progress("denoise", 4, "step", 2);
    progress.advance();
    progress.advance();
  }
  Progress("decode", 1, "frame").advance();
  EXPECT_EQ(seen, "denoise 2/4 denoise 3/4 denoise 4/4 ");
}

TEST(Progress, OffATerminalTheEndIsOneLineWithCountRateAndNote) {
  const std::string output = output_of([] {
    Progress progress("denoise", 40, "step", 10);
    for (int step = 10; step < 40; ++step) progress.advance(1, "loss 0.5");
  });
  EXPECT_TRUE(output.starts_with("denoise  40/40  ")) << output;
  EXPECT_NE(output.find(" step/s  in 0:00  loss 0.5\n"), std::string::npos) << output;
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 1) << output;
}

TEST(Progress, WhatEndsEarlySaysHowFarItCame) {
  const std::string output = output_of([] { Progress("frames", 100, "frame").advance(3); });
  EXPECT_TRUE(output.starts_with("frames  3/100  ")) << output;
  EXPECT_NE(output.find(" left\n"), std::string::npos) << output;
}

TEST(JsonLog, LinesSurviveReopeningAndATornLine) {
  const test::Folder folder;
  JsonLog(folder / "new/log.jsonl").write({{"step", 1}, {"loss", 0.5}});
  std::ofstream(folder / "new/log.jsonl", std::ios::app) << "{\"step\": 2, \"lo";
  JsonLog(folder / "new/log.jsonl").write({{"step", 2}, {"loss", std::numeric_limits<double>::quiet_NaN()}});
  EXPECT_EQ(read_text(folder / "new/log.jsonl"),
            "{\"loss\":0.5,\"step\":1}\n{\"step\": 2, \"lo\n{\"loss\":null,\"step\":2}\n");
}

TEST(Format, DurationsAndBytes) {
  EXPECT_EQ(format_duration(21.4), "0:21");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
  EXPECT_EQ(format_bytes(1.5 * (1 << 30)), "1.5 GiB");
  EXPECT_EQ(format_bytes(12), "12 B");
}

}  // namespace
}  // namespace moga
