// The arrangement of tensors in a flat buffer: every element in exactly one piece, whatever the number of ranks.
#include "moga/parallel/flat_layout.h"

#include <gtest/gtest.h>

namespace moga {
namespace {

TEST(FlatLayout, PiecesCoverEveryElementOnce) {
  const std::vector<int64_t> counts = {150, 1, 64, 0, 7, 1000};
  for (const int64_t ranks : {1, 2, 3, 5, 8, 40}) {
    const FlatLayout layout(counts, ranks);
    std::vector<int64_t> next(counts.size(), 0);
    for (int64_t rank = 0; rank < ranks; ++rank)
      for (const FlatPiece& piece : layout.pieces(rank)) {
        EXPECT_EQ(piece.begin, next[piece.tensor]) << piece.tensor << " on rank " << rank << " of " << ranks;
        EXPECT_EQ(rank * layout.shard_length() + piece.offset, layout.begin_of(piece.tensor) + piece.begin);
        EXPECT_LE(piece.offset + piece.length, layout.shard_length());
        next[piece.tensor] += piece.length;
      }
    EXPECT_EQ(next, counts) << ranks << " ranks";
  }
}

TEST(FlatLayout, TensorsAndShardsAreAligned) {
  const FlatLayout layout({3, 129, 5}, 3);
  for (size_t tensor = 0; tensor < 3; ++tensor) EXPECT_EQ(layout.begin_of(tensor) % 64, 0);
  EXPECT_EQ(layout.shard_length() % 64, 0);
  EXPECT_EQ(layout.length(), 3 * layout.shard_length());
}

}  // namespace
}  // namespace moga
