// The plan covers every query of every head once and gives all ranks equal work, whatever heads, ranks and routing.
#include "moga/attention/exchange_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "moga/attention/static_groups.h"
#include "tests/support/error.h"

namespace moga::test {
namespace {

constexpr double kMostWork = 1.15;  // of the mean

TEST(ExchangePlan, EveryQueryOfEveryHeadIsOnOneRank) {
  for (int64_t heads = 1; heads <= 13; ++heads)
    for (int64_t ranks = 1; ranks <= 9; ++ranks) {
      const ExchangePlan plan(heads, std::vector<int64_t>(ranks, 11));
      std::vector<int64_t> holders(heads * plan.tokens(), 0);
      for (int64_t rank = 0; rank < ranks; ++rank)
        for (const Share& share : plan.shares(rank))
          for (int64_t head = share.first_head; head < share.first_head + share.heads; ++head)
            for (const int64_t token : plan.query_tokens(share, 0, plan.tokens()))
              ++holders[head * plan.tokens() + token];
      EXPECT_EQ(std::ranges::count(holders, 1), std::ssize(holders)) << heads << " heads on " << ranks << " ranks";
    }
}

TEST(ExchangePlan, NoRankHasMoreThanItsShareOfRows) {
  for (int64_t heads = 1; heads <= 40; ++heads)
    for (int64_t ranks = 1; ranks <= 16; ++ranks) {
      const ExchangePlan plan(heads, std::vector<int64_t>(ranks, 1560 / ranks + 7));
      for (int64_t rank = 0; rank < ranks; ++rank)
        EXPECT_LE(plan.work(rank), kMostWork) << heads << " heads on " << ranks << " ranks, rank " << rank;
    }
}

TEST(ExchangePlan, TwelveHeadsOnEightRanksAreAHeadAndAHalfEach) {
  const ExchangePlan plan(12, std::vector<int64_t>(8, 1000));
  EXPECT_EQ(plan.rounds(), 2);
  for (int64_t rank = 0; rank < 8; ++rank) {
    ASSERT_EQ(plan.shares(rank).size(), 2u);
    EXPECT_TRUE(plan.whole(plan.shares(rank)[0]));
    EXPECT_EQ(plan.shares(rank)[1].parts, 4);
    EXPECT_NEAR(plan.work(rank), 1, 0.001);
  }
}

TEST(ExchangePlan, HeadsThatFitAreNotDivided) {
  const ExchangePlan plan(12, {5, 5, 5, 6});
  EXPECT_EQ(plan.rounds(), 1);
  EXPECT_EQ(plan.whole_heads(), 12);
  EXPECT_EQ(plan.shares(2)[0].first_head, 6);
  EXPECT_EQ(plan.shares(2)[0].heads, 3);
}

// Pairs of queries and keys on the fullest rank over the mean, with group lengths that the plan does not know.
double fullest_rank(const ExchangePlan& plan, const std::vector<int64_t>& group, int64_t groups) {
  std::vector<int64_t> length(groups, 0);
  for (const int64_t g : group) ++length[g];
  double all = 0, most = 0;
  for (const int64_t g : group) all += static_cast<double>(length[g] * plan.heads());
  for (int64_t rank = 0; rank < plan.ranks(); ++rank) {
    double pairs = 0;
    for (const Share& share : plan.shares(rank))
      for (const int64_t token : plan.query_tokens(share, 0, plan.tokens()))
        pairs += static_cast<double>(length[group[token]] * share.heads);
    most = std::max(most, pairs);
  }
  return most * static_cast<double>(plan.ranks()) / all;
}

TEST(ExchangePlan, WorkIsEvenWhateverTheRouting) {
  constexpr int64_t kTokens = 8 * 1560, kColumns = 52, kGroups = 5;
  std::mt19937_64 random(1);
  std::vector<int64_t> drawn, by_column, by_row, uneven, halves;
  for (int64_t token = 0; token < kTokens; ++token) {
    drawn.push_back(static_cast<int64_t>(random() % kGroups));
    by_column.push_back(token % kColumns % 2);
    by_row.push_back(token / kColumns % kGroups);
    uneven.push_back(random() % 10 == 0 ? static_cast<int64_t>(random() % kGroups) : 0);
    halves.push_back(token < kTokens / 3 ? 0 : 1);
  }
  for (const auto& [heads, ranks] : {std::pair{12, 8}, {12, 5}, {40, 16}, {3, 8}, {1, 2}})
    for (const auto& group : {drawn, by_column, by_row, uneven, halves})
      EXPECT_LE(fullest_rank(ExchangePlan(heads, equal_cuts(kTokens, ranks)), group, kGroups), kMostWork)
          << heads << " heads on " << ranks << " ranks";
}

TEST(ExchangePlan, WhatCannotBePlannedIsOneLine) {
  EXPECT_EQ(error_of([] { ExchangePlan(0, {1}); }), "an exchange of 0 heads over 1 ranks");
  EXPECT_EQ(error_of([] { ExchangePlan(4, {}); }), "an exchange of 4 heads over 0 ranks");
  EXPECT_EQ(error_of([] { ExchangePlan(4, {3, -1}); }), "a slice of a sequence has -1 tokens");
}

}  // namespace
}  // namespace moga::test
