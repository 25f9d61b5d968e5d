// Coordinates of ranks, the groups along each axis, and meshes that do not fit.
#include "moga/parallel/mesh.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/error.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

std::vector<int64_t> members(const ProcessGroup& group, int64_t world_rank) {
  const at::Tensor ranks = group.all_gather(at::full({1}, world_rank, at::kLong));
  return {ranks.const_data_ptr<int64_t>(), ranks.const_data_ptr<int64_t>() + group.size()};
}

// Six ranks as data 2 × sequence 3: sequence groups 0-2 and 3-5, data groups of ranks three apart.
MOGA_RANKS(training_mesh) {
  ParallelConfig config;
  config.sequence = 3;
  const Mesh mesh = Mesh::training(world, config);
  const int64_t rank = world.rank(), first = rank / 3 * 3, column = rank % 3;
  check(mesh.data().rank() == rank / 3 && mesh.sequence().rank() == column, "coordinates of rank ", rank);
  check(members(mesh.sequence(), rank) == std::vector<int64_t>{first, first + 1, first + 2}, "sequence of ", rank);
  check(members(mesh.data(), rank) == std::vector<int64_t>{column, column + 3}, "data group of ", rank);
}

MOGA_RANKS(generation_mesh) {
  const Mesh mesh = Mesh::generation(world, 2);
  const int64_t rank = world.rank(), half = world.size() / 2;
  check(mesh.guidance().rank() == rank / half && mesh.sequence().size() == half, "coordinates of rank ", rank);
  check(members(mesh.guidance(), rank) == std::vector<int64_t>{rank % half, rank % half + half}, "guidance of ", rank);
}

MOGA_RANKS(unfilled_mesh) {
  ParallelConfig config;
  config.sequence = 2;
  Mesh::training(world, config);
}

TEST(Mesh, TrainingIsDataTimesSequence) { EXPECT_EQ(run_ranks("training_mesh", 6).line, ""); }

TEST(Mesh, GenerationIsGuidanceTimesSequence) {
  EXPECT_EQ(run_ranks("generation_mesh", 2).line, "");
  EXPECT_EQ(run_ranks("generation_mesh", 4).line, "");
}

TEST(Mesh, AWorldThatItDoesNotFillIsAnError) {
  const std::string line = run_ranks("unfilled_mesh", 3).line;
  EXPECT_NE(line.find("a mesh data × sequence = 1 × 2 does not fill the 3 rank(s) of this run"), std::string::npos)
      << line;
}

TEST(Mesh, OneRank) {
  const Mesh mesh = Mesh::training(ProcessGroup(), {});
  EXPECT_EQ(mesh.data().size(), 1);
  EXPECT_EQ(mesh.sequence().size(), 1);
  EXPECT_EQ(error_of([] { Mesh::training(ProcessGroup(), {.data = 4, .sequence = 1}); }),
            "a mesh data × sequence = 4 × 1 does not fill the 1 rank(s) of this run");
  EXPECT_EQ(error_of([] { Mesh::training(ProcessGroup(), {.data = 0, .sequence = 0}); }),
            "data and sequence are both 0; one of them must be given");
  EXPECT_EQ(error_of([] { Mesh::generation(ProcessGroup(), 3); }),
            "guidance = 3, expected 1, or 2: with and without captions");
}

}  // namespace
}  // namespace moga::test
