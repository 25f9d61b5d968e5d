// The batches of a stage are functions of the order and the train step, on any mesh and in any pieces.
#include "moga/train/video/batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace moga {
namespace {

TEST(DataOrder, IsAnotherPermutationInEveryEpoch) {
  DataOrder order(1, "order", 50), again(1, "order", 50);
  std::vector<int64_t> first, second;
  for (int64_t i = 0; i < 50; ++i) first.push_back(order.at(i));
  for (int64_t i = 50; i < 100; ++i) second.push_back(order.at(i));
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 50u);
  EXPECT_EQ(std::set<int64_t>(second.begin(), second.end()).size(), 50u);
  EXPECT_NE(first, second);
  EXPECT_EQ(again.at(73), second[23]);  // a position needs none of those before it
}

const std::vector<int64_t> kTokens = {5, 40, 12, 7, 30, 30, 9, 25, 3, 18, 22};

StageBatches batches(const BatchRule& rule) {
  return StageBatches(DataOrder(3, "order", static_cast<int64_t>(kTokens.size())), rule, kTokens);
}

std::vector<int64_t> videos_of(const OwnBatch& batch) {
  std::vector<int64_t> videos;
  for (const auto& piece : batch.pieces) videos.insert(videos.end(), piece.begin(), piece.end());
  return videos;
}

int64_t tokens_of(const std::vector<int64_t>& videos) {
  return std::accumulate(videos.begin(), videos.end(), int64_t{0},
                         [](int64_t sum, int64_t video) { return sum + kTokens[video]; });
}

TEST(StageBatches, ByTokensTheOrderIsCutWhereTheNextVideoHasNoRoom) {
  StageBatches by_tokens = batches({.tokens = 60});
  DataOrder order(3, "order", static_cast<int64_t>(kTokens.size()));
  int64_t position = 0;
  for (int64_t step = 0; step < 20; ++step) {
    const std::vector<int64_t> videos = videos_of(by_tokens.at(step));
    for (const int64_t video : videos) EXPECT_EQ(video, order.at(position++)) << step;
    EXPECT_LE(tokens_of(videos), 60) << step;
    EXPECT_GT(tokens_of(videos) + kTokens[order.at(position)], 60) << step;
  }
  EXPECT_EQ(videos_of(batches({.tokens = 60}).at(19)), videos_of(by_tokens.at(19)));  // without those before it
}

TEST(StageBatches, RanksAndPiecesShareTheSameBatch) {
  for (const int64_t tokens : {0, 120}) {
    StageBatches whole = batches({.videos = 8, .tokens = tokens});
    for (int64_t step = 0; step < 9; ++step) {
      std::vector<int64_t> together;
      std::set<size_t> pieces;
      for (int64_t rank = 0; rank < 2; ++rank) {
        const OwnBatch own =
            batches({.videos = 8, .tokens = tokens, .pieces = 4, .data_ranks = 2, .data_rank = rank}).at(step);
        EXPECT_EQ(own.first, static_cast<int64_t>(together.size()));
        for (const auto& piece : own.pieces) EXPECT_FALSE(piece.empty());
        pieces.insert(own.pieces.size());
        const std::vector<int64_t> videos = videos_of(own);
        together.insert(together.end(), videos.begin(), videos.end());
      }
      EXPECT_EQ(together, videos_of(whole.at(step))) << step;
      EXPECT_EQ(pieces.size(), 1u);
    }
  }
}

TEST(StageBatches, ReadingAheadFollowsTheBatches) {
  for (const int64_t tokens : {0, 120}) {
    const BatchRule rule = {.videos = 6, .tokens = tokens, .pieces = 2, .data_ranks = 2, .data_rank = 1};
    StageBatches own = batches(rule);
    const auto ahead = own.own_videos_from(4);
    int64_t position = 0;
    for (int64_t step = 4; step < 12; ++step)
      for (const int64_t video : videos_of(own.at(step))) EXPECT_EQ(ahead(position++), video);
  }
}

TEST(EvenParts, MakeTheLargestPartAsSmallAsTheyCan) {
  using Ends = std::vector<int64_t>;
  EXPECT_EQ(even_parts({5, 5, 5, 5}, 2), (Ends{2, 4}));
  EXPECT_EQ(even_parts({9, 1, 1, 1, 8}, 3), (Ends{1, 4, 5}));
  EXPECT_EQ(even_parts({1, 1, 1, 10}, 3), (Ends{2, 3, 4}));
  EXPECT_EQ(even_parts({2, 3, 4}, 3), (Ends{1, 2, 3}));
  EXPECT_EQ(even_parts({2, 3, 4}, 1), (Ends{3}));
}

}  // namespace
}  // namespace moga
