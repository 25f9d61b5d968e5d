// Blocks whose weights are gathered: two buffers in turn, in both directions, and gradients that go to their units.
#include "moga/model/layers/sharded_blocks.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/model/layers/linear.h"

namespace moga {
namespace {

struct ThreeBlocks {
  ShardedBlocks::Modules modules;
  ShardedBlocks::Units units;
  std::vector<at::Tensor> weights;  // of each block, as they were

  // The biases are in no unit.
  explicit ThreeBlocks(Holding holding) {
    at::manual_seed(5);
    for (int i = 0; i < 3; ++i) {
      Linear block(4, 6);
      block->fill_normal(1);
      weights.push_back(block->weight.detach().clone());
      modules.push_back(block.ptr());
      units.push_back(std::make_shared<ShardedParameters>(std::vector<at::Tensor>{block->weight}, ProcessGroup(),
                                                          ShardedOptions{.holding = holding}));
    }
  }
  at::Tensor weight(size_t block) const { return modules[block]->as<LinearImpl>()->weight.detach(); }
};

TEST(ShardedBlocks, ABlockHasItsWeightsBetweenEnterAndLeave) {
  ThreeBlocks three(Holding::kSharded);
  ShardedBlocks blocks(three.modules, three.units);
  EXPECT_FALSE(blocks.resident());
  for (int round = 0; round < 2; ++round) {
    for (const int64_t block : {0, 1, 2}) {
      blocks.enter(block, Pass::kForward);
      EXPECT_TRUE(at::equal(three.weight(block), three.weights[block])) << "forward " << block;
    }
    for (const int64_t block : {2, 1, 0}) {
      blocks.enter(block, Pass::kBackward);
      EXPECT_TRUE(at::equal(three.weight(block), three.weights[block])) << "backward " << block;
    }
  }
}

TEST(ShardedBlocks, ChangedShardsAreGatheredAgain) {
  ThreeBlocks three(Holding::kSharded);
  ShardedBlocks blocks(three.modules, three.units);
  blocks.enter(0, Pass::kForward);
  at::Tensor shard = three.units[0]->shard();
  shard.mul_(2);
  blocks.invalidate();
  blocks.enter(0, Pass::kForward);
  EXPECT_TRUE(at::equal(three.weight(0), three.weights[0] * 2));
}

TEST(ShardedBlocks, GradientsOfUnitsAreTakenAndOthersLeft) {
  for (const Holding holding : {Holding::kWhole, Holding::kSharded}) {
    ThreeBlocks three(holding);
    ShardedBlocks blocks(three.modules, three.units);
    EXPECT_EQ(blocks.resident(), holding == Holding::kWhole);
    const at::Tensor of_weight = at::randn({6, 4}), of_bias = at::randn({6});
    const auto left = blocks.gradients(1, {of_weight, of_bias});
    EXPECT_FALSE(left[0].defined());
    EXPECT_TRUE(at::equal(left[1], of_bias));
    const at::Tensor sum = three.units[1]->gradient(three.units[1]->pieces()[0]);
    EXPECT_TRUE(at::equal(sum, of_weight.view({-1})));
  }
}

TEST(ShardedBlocks, AreCopiedToTheHostForWriting) {
  ThreeBlocks three(Holding::kSharded);
  ShardedBlocks blocks(three.modules, three.units);
  blocks.gather_to_host(true);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(three.weight(i), three.weights[i])) << i;
  blocks.back_to_buffers();
  blocks.enter(0, Pass::kForward);
  EXPECT_TRUE(at::equal(three.weight(0), three.weights[0]));
}

}  // namespace
}  // namespace moga
