// Every collective on 2, 3, 4 and 8 processes against the same computed in each of them: every rank draws the input of
// all ranks, so that it knows what must come.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/random.h"
#include "moga/parallel/connect.h"
#include "tests/support/ranks.h"

namespace moga::test {
namespace {

at::Tensor drawn(int64_t rank, at::IntArrayRef shape, at::ScalarType dtype) {
  const at::Tensor x = at::randn(shape, random_stream(rank, "collectives"), at::kDouble);
  return at::isIntegralType(dtype, false) ? x.mul(100).to(dtype) : x.to(dtype);
}

void expect_equal(const at::Tensor& actual, const at::Tensor& expected, const std::string& what) {
  check(actual.sizes() == expected.sizes(), what, " has shape ", actual.sizes(), ", expected ", expected.sizes());
  check(at::equal(actual, expected), what, " (", expected.scalar_type(), ") differs");
}

void expect_close(const at::Tensor& actual, const at::Tensor& expected, double tolerance, const std::string& what) {
  const double gap = (actual.to(at::kDouble) - expected).abs().max().item<double>();
  check(actual.sizes() == expected.sizes() && gap <= tolerance, what, " (", actual.scalar_type(), ") is off by ", gap);
}

// The sum over ranks, in float64.
at::Tensor sum_of(const ProcessGroup& world, at::IntArrayRef shape, at::ScalarType dtype) {
  at::Tensor sum = at::zeros(shape, at::kDouble);
  for (int64_t rank = 0; rank < world.size(); ++rank) sum += drawn(rank, shape, dtype);
  return sum;
}

void reductions(const ProcessGroup& world) {
  const int64_t rows = 6 * world.size(), columns = 37;
  for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16, at::kLong}) {
    const double tolerance = dtype == at::kBFloat16 ? 0.15 : dtype == at::kFloat ? 1e-5 : 1e-12;
    const at::Tensor x = drawn(world.rank(), {rows, columns}, dtype), sum = sum_of(world, {rows, columns}, dtype);
    at::Tensor all = x.clone();
    world.all_reduce(all);
    expect_close(all, sum, tolerance, "all_reduce");
    expect_close(world.reduce_scatter(x), sum.narrow(0, 6 * world.rank(), 6), tolerance, "reduce_scatter");
  }
  const at::Tensor extreme = at::full({1}, world.rank(), at::kLong);
  at::Tensor largest = extreme.clone(), smallest = extreme.clone();
  world.all_reduce(largest, Reduce::kMax);
  world.all_reduce(smallest, Reduce::kMin);
  check(largest.item<int64_t>() == world.size() - 1 && smallest.item<int64_t>() == 0, "max or min");
  check(world.any(world.rank() == world.size() - 1) && !world.any(false), "any");
}

void movements(const ProcessGroup& world) {
  const int64_t ranks = world.size(), own = world.rank();
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kLong, at::kBool, at::kByte}) {
    const auto of = [&](int64_t rank, int64_t rows) { return drawn(rank, {rows, 5}, dtype); };
    std::vector<at::Tensor> equal, uneven;
    std::vector<int64_t> counts;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      counts.push_back(rank == 1 ? 0 : 2 + rank);
      equal.push_back(of(rank, 4));
      uneven.push_back(of(rank, counts.back()));
    }
    expect_equal(world.all_gather(equal[own]), at::cat(equal), "all_gather");
    expect_equal(world.all_gather(uneven[own], counts), at::cat(uneven), "all_gather of uneven rows");
    at::Tensor x = own == ranks - 1 ? equal[own].clone() : at::zeros_like(equal[own]);
    world.broadcast(x, ranks - 1);
    expect_equal(x, equal.back(), "broadcast");
  }
  const std::vector<std::string> texts = world.all_gather_text(std::string(own * 3, static_cast<char>('a' + own)));
  for (int64_t rank = 0; rank < ranks; ++rank)
    check(texts[rank] == std::string(rank * 3, static_cast<char>('a' + rank)), "text of rank ", rank, ": ",
          texts[rank]);
}

// Rank r sends rank s the piece (r, s) of (r + 2s) % 5 rows, zero among them.
void exchanges(const ProcessGroup& world) {
  const int64_t ranks = world.size(), own = world.rank();
  const auto rows = [](int64_t from, int64_t to) { return (from + 2 * to) % 5; };
  const auto piece = [&](int64_t from, int64_t to) {
    return drawn(100 * from + to, {rows(from, to), 3, 2}, at::kFloat);
  };
  std::vector<at::Tensor> sent, expected;
  std::vector<int64_t> send_rows, receive_rows;
  for (int64_t other = 0; other < ranks; ++other) {
    sent.push_back(piece(own, other));
    expected.push_back(piece(other, own));
    send_rows.push_back(rows(own, other));
    receive_rows.push_back(rows(other, own));
  }
  Pending first = world.start_all_to_all(at::cat(sent), send_rows, receive_rows);
  Pending second = world.start_all_to_all(at::cat(sent).to(at::kBFloat16), send_rows, receive_rows);
  expect_equal(second.wait(), at::cat(expected).to(at::kBFloat16), "the second all_to_all under way");
  expect_equal(first.wait(), at::cat(expected), "the first all_to_all under way");
  world.barrier();
}

MOGA_RANKS(every_collective) {
  reductions(world);
  movements(world);
  exchanges(world);
}

// Ranks arrive in another order each time; the sum has the same bits.
MOGA_RANKS(repeated_sums) {
  at::Tensor first;
  for (int64_t round = 0; round < 10; ++round) {
    if (round % world.size() == world.rank()) at::randn({200, 200}).matmul(at::randn({200, 200}));
    at::Tensor x = drawn(world.rank(), {30'011}, at::kFloat);
    world.all_reduce(x);
    if (round == 0) first = x;
    check(at::equal(x, first), "all_reduce has other bits in round ", round);
  }
  const uint8_t* bytes = static_cast<const uint8_t*>(first.const_data_ptr());
  const std::vector<std::string> texts = world.all_gather_text({bytes, bytes + first.nbytes()});
  for (const std::string& text : texts) check(text == texts[0], "ranks hold different bits of one sum");
}

class Ranks : public testing::TestWithParam<int64_t> {};

TEST_P(Ranks, EveryCollective) { EXPECT_EQ(run_ranks("every_collective", GetParam()).line, ""); }
INSTANTIATE_TEST_SUITE_P(Collectives, Ranks, testing::Values(2, 3, 4, 8));

TEST(Collectives, ASumHasTheSameBitsFromRunToRun) { EXPECT_EQ(run_ranks("repeated_sums", 3).line, ""); }

TEST(Collectives, OneRankNeedsNoConnection) { ranks_every_collective(connect(RankEnvironment())); }

}  // namespace
}  // namespace moga::test
