// Sharded parameters on 2 and 3 processes: gathered weights and summed gradients against those of all ranks.
#include "moga/parallel/sharded_parameters.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/random.h"
#include "tests/support/error.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

std::vector<at::Tensor> drawn(int64_t index) {
  const at::Generator random = random_stream(1, "sharded", index);
  return {at::randn({3, 50}, random), at::randn({7}, random), at::randn({5, 4, 9}, random)};
}

ShardedOptions options_of(at::ScalarType dtype, Holding holding) {
  return {.dtype = dtype, .device = at::kCPU, .holding = holding, .trained = true};
}

// The weights that every rank holds after each rank has doubled its shard.
void weights_follow_the_shards(const ProcessGroup& world, at::ScalarType dtype, Holding holding) {
  const std::vector<at::Tensor> parameters = drawn(0);
  ShardedParameters unit(parameters, world, options_of(dtype, holding));
  at::Tensor shard = unit.shard();
  shard.mul_(2);
  if (unit.sharded()) {
    const at::Tensor bytes = at::zeros({unit.flat_bytes()}, at::kByte);
    unit.point(bytes);
    unit.start_gather(bytes).wait();
  } else {
    unit.start_share().wait();
  }
  const std::vector<at::Tensor> expected = drawn(0);
  for (size_t i = 0; i < parameters.size(); ++i)
    check(at::equal(parameters[i], (expected[i].to(dtype) * 2)), "parameter ", i, " as ", dtype);
}

// Two gradients of every rank; none for the second parameter.
void gradients_are_summed(const ProcessGroup& world) {
  ShardedParameters unit(drawn(0), world, options_of(at::kBFloat16, Holding::kSharded));
  std::vector<at::Tensor> sums = {at::zeros({3, 50}), at::Tensor(), at::zeros({5, 4, 9})};
  for (int64_t call = 0; call < 2; ++call)
    for (int64_t rank = 0; rank < world.size(); ++rank) {
      std::vector<at::Tensor> gradients = drawn(1 + 2 * rank + call);
      gradients[1].reset();
      for (const size_t i : {0, 2}) sums[i] += gradients[i];
      if (rank == world.rank()) unit.add_gradients(gradients);
    }
  for (const FlatPiece& piece : unit.pieces()) {
    const at::Tensor found = unit.gradient(piece), whole = sums[piece.tensor];
    check(found.defined() == whole.defined(), "gradient of parameter ", piece.tensor);
    if (!found.defined()) continue;
    const at::Tensor expected = whole.view({-1}).narrow(0, piece.begin, piece.length);
    check(at::allclose(found, expected, 1e-6, 1e-6), "gradient of parameter ", piece.tensor, " differs");
  }
  unit.drop_gradients();
  for (const FlatPiece& piece : unit.pieces()) check(!unit.gradient(piece).defined(), "a gradient is left");
}

MOGA_RANKS(sharded_parameters) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16})
    for (const Holding holding : {Holding::kWhole, Holding::kSharded}) weights_follow_the_shards(world, dtype, holding);
  gradients_are_summed(world);
}

TEST(ShardedParameters, EqualThoseOfAllRanks) {
  for (const int64_t ranks : {2, 3}) EXPECT_EQ(run_ranks("sharded_parameters", ranks).line, "") << ranks << " ranks";
}

TEST(ShardedParameters, ARankOfARehearsalHoldsItsPart) {
  ShardedParameters unit(drawn(0), ProcessGroup::rehearsed(4), options_of(at::kBFloat16, Holding::kSharded));
  EXPECT_EQ(unit.shard().numel(), 128);  // 192 + 64 + 192 elements in four shards, aligned
  EXPECT_EQ(unit.masters().scalar_type(), at::kFloat);
  unit.add_gradients(drawn(1));
  EXPECT_TRUE(at::equal(unit.gradient(unit.pieces()[0]), drawn(1)[0].view({-1}).narrow(0, 0, 128)));
}

TEST(ShardedParameters, WantFloat32) {
  const std::vector<at::Tensor> narrow = {at::zeros({2}, at::kBFloat16)};
  EXPECT_EQ(error_of([&] { ShardedParameters(narrow, ProcessGroup(), options_of(at::kFloat, Holding::kWhole)); }),
            "a parameter is BFloat16, expected float32 before it is sharded");
}

}  // namespace
}  // namespace moga::test
