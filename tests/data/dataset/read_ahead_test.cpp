// Values in order, with a bound on how many exist.
#include "moga/data/dataset/read_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>

namespace moga {
namespace {

TEST(ReadAhead, HandsOutEveryPositionInOrder) {
  ReadAhead<int64_t> ahead([](int64_t position) { return position * position; }, 5, 4, 3);
  for (int64_t position = 5; position < 200; ++position) EXPECT_EQ(ahead.next(), position * position);
}

TEST(ReadAhead, HoldsAtMostItsBound) {
  std::atomic<int64_t> made{0};
  ReadAhead<int64_t> ahead([&](int64_t position) { return ++made, position; }, 0, 6, 2);
  for (int64_t taken = 0; taken < 50; ++taken) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_LE(made, taken + 6);
    ahead.next();
  }
}

TEST(ReadAhead, ThrowsAtThePositionThatFailed) {
  const auto make = [](int64_t position) {
    if (position == 2) throw std::runtime_error("shard 2 is gone");
    return position;
  };
  ReadAhead<int64_t> ahead(make, 0, 8, 2);
  EXPECT_EQ(ahead.next(), 0);
  EXPECT_EQ(ahead.next(), 1);
  EXPECT_THROW(ahead.next(), std::runtime_error);
  EXPECT_EQ(ahead.next(), 3);
}

TEST(ReadAhead, EndsWithoutBeingRead) {
  const auto value = std::make_shared<int>(3);
  {
    const ReadAhead<std::shared_ptr<int>> ahead([&](int64_t) { return value; }, 0, 16, 4);
  }
  EXPECT_EQ(value.use_count(), 1);
}

}  // namespace
}  // namespace moga
