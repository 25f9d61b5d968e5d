// Numbers of a routing against their definitions, counted pair by pair.
#include "moga/model/routing_numbers.h"

#include <gtest/gtest.h>

#include <random>

namespace moga {
namespace {

RoutingNumbers of(Counts counts) {
  RoutingNumbers numbers;
  numbers.shot_counts = std::move(counts);
  return numbers;
}

using Labels = std::vector<int>;

Labels random_labels(int groups, int tokens, unsigned seed) {
  std::mt19937 generator(seed);
  Labels labels(tokens);
  for (int& label : labels) label = static_cast<int>(generator() % groups);
  return labels;
}

Counts contingency(const Labels& a, const Labels& b, int groups) {
  Counts counts(groups, std::vector<int64_t>(groups, 0));
  for (size_t i = 0; i < a.size(); ++i) ++counts[a[i]][b[i]];
  return counts;
}

// From the definition over unordered pairs of tokens.
double rand_index_by_pairs(const Labels& a, const Labels& b) {
  double both = 0, in_a = 0, in_b = 0, pairs = 0;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = i + 1; j < a.size(); ++j) {
      const bool same_a = a[i] == a[j], same_b = b[i] == b[j];
      both += same_a && same_b;
      in_a += same_a;
      in_b += same_b;
      ++pairs;
    }
  const double expected = in_a * in_b / pairs;
  return (both - expected) / ((in_a + in_b) / 2 - expected);
}

TEST(RoutingNumbers, EvenGroupsCostOne) {
  const RoutingNumbers even = of({{10, 10, 10, 10}});
  EXPECT_DOUBLE_EQ(even.cost(), 1);
  EXPECT_DOUBLE_EQ(even.effective_groups(), 4);
  EXPECT_FALSE(even.collapsed());
  EXPECT_EQ(even.empty_groups(), 0);
}

TEST(RoutingNumbers, OneGroupIsACollapse) {
  const RoutingNumbers one = of({{0, 30, 0}, {1, 19, 0}});
  EXPECT_NEAR(one.cost(), 3 * (49.0 * 49 + 1) / (50 * 50), 1e-12);
  EXPECT_TRUE(one.collapsed());
  EXPECT_EQ(one.largest_group(), 1);
  EXPECT_DOUBLE_EQ(one.share(1), 0.98);
  EXPECT_EQ(one.empty_groups(), 1);
  EXPECT_EQ(one.counts(), (std::vector<int64_t>{1, 49, 0}));
}

TEST(RoutingNumbers, ACollapseIsHalfwayBetweenEvenAndAll) {
  EXPECT_TRUE(of({{61, 10, 10, 10, 9}}).collapsed());
  EXPECT_FALSE(of({{60, 10, 10, 10, 10}}).collapsed());
  EXPECT_TRUE(of({{24, 76}}).collapsed());
  EXPECT_FALSE(of({{25, 75}}).collapsed());
  EXPECT_FALSE(of({{12}}).collapsed());  // of one group only
}

TEST(RoutingNumbers, SharingCountsPairsOfTwoShots) {
  const auto sharing = of({{3, 1}, {0, 2}}).shot_sharing();
  EXPECT_DOUBLE_EQ(sharing[0][0], 10.0 / 16);
  EXPECT_DOUBLE_EQ(sharing[0][1], 2.0 / 8);
  EXPECT_DOUBLE_EQ(sharing[1][0], sharing[0][1]);
  EXPECT_DOUBLE_EQ(sharing[1][1], 1);
}

TEST(RoutingNumbers, AgreementIsTheAdjustedRandIndex) {
  for (unsigned seed = 0; seed < 5; ++seed) {
    Labels a = random_labels(4, 60, seed), b = a;
    for (size_t i = 0; i < b.size(); i += 3) b[i] = (b[i] + 1) % 4;
    EXPECT_NEAR(adjusted_rand_index(contingency(a, b, 4)), rand_index_by_pairs(a, b), 1e-12);
  }
}

TEST(RoutingNumbers, AgreementDoesNotDependOnNumbers) {
  const Labels a = random_labels(5, 200, 3);
  Labels renamed = a;
  for (int& label : renamed) label = (3 * label + 2) % 5;
  EXPECT_DOUBLE_EQ(adjusted_rand_index(contingency(a, renamed, 5)), 1);
  const Labels other = random_labels(5, 20000, 4), chance = random_labels(5, 20000, 5);
  EXPECT_NEAR(adjusted_rand_index(contingency(other, chance, 5)), 0, 5e-3);
}

TEST(RoutingNumbers, AgreementOfCollapsedRoutings) {
  EXPECT_DOUBLE_EQ(adjusted_rand_index({{0, 0}, {0, 9}}), 1);  // both have one group
  EXPECT_DOUBLE_EQ(adjusted_rand_index({{4, 5}, {0, 0}}), 0);  // one of them has
}

}  // namespace
}  // namespace moga
