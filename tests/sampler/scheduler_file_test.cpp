// scheduler_config.json means what diffusers makes of it, or is refused by the key that ours does not run.
#include "moga/sampler/scheduler_file.h"

#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const std::string kUniPc =
    R"("_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction", "use_flow_sigmas": true)";
const std::string kEuler = R"("_class_name": "FlowMatchEulerDiscreteScheduler")";

SamplerConfig config_of(const std::string& members) {
  const test::Folder folder;
  write_text(folder / "a.json", "{" + members + "}");
  return load_sampler_config(folder / "a.json");
}

// Without the file's name.
std::string error_of_config(const std::string& members) {
  const std::string error = test::error_of([&] { config_of(members); });
  const size_t name = error.find("a.json: ");
  return name == std::string::npos ? error : error.substr(name + 8);
}

TEST(SchedulerFile, ReadsBothClassesWithDiffusersDefaults) {
  EXPECT_EQ(config_of(kUniPc + R"(, "flow_shift": 3.0)").shift, 3.0);
  EXPECT_EQ(config_of(kUniPc).shift, 1.0);
  EXPECT_EQ(config_of(kUniPc + R"(, "flow_shift": null)").shift, 1.0);
  EXPECT_EQ(config_of(kUniPc).solver, SolverKind::kUniPc);
  EXPECT_EQ(config_of(kEuler + R"(, "shift": 1.5, "flow_shift": 3.0)").shift, 1.5);
  EXPECT_EQ(config_of(kEuler).shift, 1.0);
  EXPECT_EQ(config_of(kEuler).solver, SolverKind::kEuler);
}

// So that --solver unipc on a folder of Euler's is diffusers' UniPC.
TEST(SchedulerFile, OfEitherClassHasWholeTimesteps) {
  EXPECT_TRUE(config_of(kUniPc).whole_timesteps);
  EXPECT_TRUE(config_of(kEuler).whole_timesteps);
  EXPECT_FALSE(config_of(kUniPc + R"(, "whole_timesteps": false)").whole_timesteps);
}

TEST(SchedulerFile, NamesWhatIsMissing) {
  EXPECT_EQ(error_of_config(R"("flow_shift": 3.0)"), "_class_name is missing, expected a string");
  EXPECT_EQ(error_of_config(R"("_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": true)"),
            "prediction_type is missing, which is epsilon to diffusers, expected \"flow_prediction\"");
  EXPECT_EQ(error_of_config(R"("_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction")"),
            "use_flow_sigmas is missing, which is false to diffusers, expected true");
  EXPECT_EQ(error_of_config(R"("_class_name": "DDIMScheduler")"),
            "_class_name = DDIMScheduler, expected UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler");
}

TEST(SchedulerFile, NamesWhatChangesTheScheduleAlikeForBothClasses) {
  for (const std::string& scheduler : {kUniPc, kEuler})
    for (const std::string member :
         {"\"use_karras_sigmas\": true", "\"use_beta_sigmas\": true", "\"use_exponential_sigmas\": true",
          "\"use_dynamic_shifting\": true", "\"stochastic_sampling\": true", "\"invert_sigmas\": true",
          "\"shift_terminal\": 0.1", "\"num_train_timesteps\": 500", "\"solver_order\": 3"}) {
      const std::string key = member.substr(1, member.find('"', 1) - 1);
      EXPECT_EQ(error_of_config(scheduler + ", " + member).find(key + " = "), 0u) << member;
    }
  EXPECT_EQ(error_of_config(kEuler + R"(, "use_karas_sigmas": true)").find("unknown key 'use_karas_sigmas'"), 0u);
}

TEST(SchedulerFile, OfOursHasItsOwnKeys) {
  const SamplerConfig config = config_of(kUniPc + R"(, "solver": "euler", "shift": 4, "flow_shift": 4, "steps": 7)");
  EXPECT_EQ(config.solver, SolverKind::kEuler);
  EXPECT_EQ(config.steps, 7);
  EXPECT_EQ(config_of(R"("solver": "unipc")").shift, SamplerConfig().shift);
  EXPECT_EQ(error_of_config(kUniPc + R"(, "solver": "unipc", "shift": 4, "flow_shift": 5)"),
            "shift = 4 and flow_shift = 5, expected the same");
}

}  // namespace
}  // namespace moga
