// Ranks from the variables of torchrun and srun, and what contradicts itself.
#include "moga/parallel/rank_environment.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/error.h"

namespace moga::test {
namespace {

using Values = std::map<std::string, std::string>;

RankEnvironment ranks_of(const Values& values) {
  return rank_environment([&](const std::string& name) {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  });
}

const Values kTorchrun{{"RANK", "5"},        {"WORLD_SIZE", "8"},     {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "4"},
                       {"MASTER_ADDR", "a"}, {"MASTER_PORT", "29500"}};
const Values kSrun{{"SLURM_PROCID", "9"},  {"SLURM_STEP_NUM_TASKS", "16"},        {"SLURM_NTASKS", "16"},
                   {"SLURM_LOCALID", "1"}, {"SLURM_STEP_NODELIST", "gpu[07,09]"}, {"SLURM_JOB_ID", "1234"}};

Values changed(Values values, const std::string& name, const std::string& value) {
  values[name] = value;
  return values;
}
Values without(Values values, const std::string& name) {
  values.erase(name);
  return values;
}
std::string error_with(const Values& values) {
  return error_of([&] { ranks_of(values); });
}

TEST(RankEnvironment, NothingSetIsOneProcess) {
  const RankEnvironment found = ranks_of({});
  EXPECT_EQ(found.world, 1);
  EXPECT_EQ(found.rank, 0);
  EXPECT_EQ(found.launcher, "none");
}

TEST(RankEnvironment, TorchrunsVariables) {
  const RankEnvironment found = ranks_of(kTorchrun);
  EXPECT_EQ(found.rank, 5);
  EXPECT_EQ(found.world, 8);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.local_world, 4);
  EXPECT_EQ(found.master_address, "a");
  EXPECT_EQ(found.master_port, 29500);
}

TEST(RankEnvironment, SrunsVariables) {
  const RankEnvironment found = ranks_of(kSrun);
  EXPECT_EQ(found.rank, 9);
  EXPECT_EQ(found.world, 16);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.master_address, "gpu07");
  EXPECT_GT(found.master_port, 1024);
  EXPECT_EQ(ranks_of(changed(kSrun, "SLURM_PROCID", "8")).master_port, found.master_port);
}

TEST(RankEnvironment, TorchrunUnderSrunIsTorchruns) {
  Values both = kSrun;
  both.insert(kTorchrun.begin(), kTorchrun.end());
  EXPECT_EQ(ranks_of(both).rank, 5);
}

TEST(RankEnvironment, ABatchScriptOutsideSrunIsOneProcess) {
  EXPECT_EQ(ranks_of(without(kSrun, "SLURM_STEP_NUM_TASKS")).world, 1);
}

TEST(RankEnvironment, ContradictionsAreOneLine) {
  EXPECT_EQ(error_with(without(kTorchrun, "WORLD_SIZE")), "environment: RANK is set but WORLD_SIZE is not");
  EXPECT_EQ(error_with(changed(kTorchrun, "RANK", "8")), "environment: RANK = 8, expected less than WORLD_SIZE = 8");
  EXPECT_EQ(error_with(changed(kTorchrun, "LOCAL_RANK", "4")),
            "environment: LOCAL_RANK = 4 of 4 ranks on this machine, 8 in all");
  EXPECT_EQ(error_with(changed(kTorchrun, "LOCAL_RANK", "6")), "environment: LOCAL_RANK = 6 is more than RANK = 5");
  EXPECT_EQ(error_with(changed(kTorchrun, "RANK", "two")),
            "environment: RANK = 'two', expected a whole number from 0 to 1048576");
  EXPECT_EQ(error_with(without(kTorchrun, "MASTER_ADDR")), "environment: WORLD_SIZE = 8 but MASTER_ADDR is not set");
  EXPECT_EQ(error_with(changed(kSrun, "SLURM_NTASKS", "8")),
            "environment: SLURM_NTASKS = 8 but SLURM_STEP_NUM_TASKS = 16");
  EXPECT_EQ(error_with(without(kSrun, "SLURM_LOCALID")), "environment: SLURM_PROCID is set but SLURM_LOCALID is not");
}

TEST(RankEnvironment, FirstHostOfASlurmNodeList) {
  EXPECT_EQ(first_slurm_host("node3"), "node3");
  EXPECT_EQ(first_slurm_host("a,b"), "a");
  EXPECT_EQ(first_slurm_host("gpu[07-09,12],login"), "gpu07");
  EXPECT_EQ(first_slurm_host("rack[2,4]node[1-3].local"), "rack2node1.local");
  EXPECT_EQ(error_of([] { first_slurm_host("gpu[1-"); }),
            "environment: the Slurm node list 'gpu[1-' has a [ without a ]");
}

}  // namespace
}  // namespace moga::test
