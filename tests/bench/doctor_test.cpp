// The page about a machine: what every machine has is there, and a backend that computes wrongly is named.
#include "moga/bench/doctor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace moga {
namespace {

TEST(Doctor, TheCpuBackendPassesItsTest) {
  const MachineReport report = examine_machine("cpu");
  ASSERT_EQ(report.tests.size(), 1u);
  EXPECT_EQ(report.tests[0].backend, "cpu");
  EXPECT_GT(report.tests[0].allowed, 0);
  EXPECT_TRUE(report.tests[0].passed()) << report.tests[0].error;
  EXPECT_TRUE(report.healthy());
  const std::string text = to_text(report);
  EXPECT_NE(text.find("cpu, used: "), std::string::npos) << text;
  EXPECT_NE(text.find("sm90, not for float32 here; it serves "), std::string::npos) << text;
  EXPECT_NE(text.find("TFLOP/s; copies: "), std::string::npos) << text;
}

TEST(Doctor, AWrongBackendIsNamed) {
  MachineReport report;
  report.tests = {{"cpu", 1e-7, 1e-6}, {"sm90", 0.3, 0.01}};
  EXPECT_FALSE(report.healthy());
  const std::string text = to_text(report);
  EXPECT_NE(text.find("sm90: relative error 3.0e-01, allowed 1.0e-02: FAILED"), std::string::npos) << text;
  EXPECT_FALSE(nlohmann::json::parse(to_json_text(report)).at("self_test").at(1).at("passed").get<bool>());
}

TEST(Doctor, AGpuThatCannotBeUsedIsNoHealth) {
  MachineReport report;
  report.without_gpu = "device 'cuda' cannot be used: the reason";
  EXPECT_FALSE(report.healthy());
}

}  // namespace
}  // namespace moga
