// Pixel frames, latent frames and shots by a codec's strides; configs of unknown classes copied as values.
#include "moga/core/strides.h"

#include <gtest/gtest.h>

#include "moga/core/cloned.h"
#include "tests/support/error.h"

namespace moga {
namespace {

TEST(Strides, CountFramesOfACausalCodec) {
  const Strides wan{4, 8, 8};
  EXPECT_EQ(wan.pixel_frames(120), 477);
  EXPECT_EQ(wan.latent_frames(477), 120);
  EXPECT_EQ(wan.pixel_shot_frames({2, 2}), (std::vector<int64_t>{5, 8}));
  const Strides still{1, 16, 16};
  EXPECT_EQ(still.pixel_frames(7), 7);
  EXPECT_EQ(still.latent_frames(7), 7);
}

TEST(Strides, SayWhichFrameCountsWouldBeRight) {
  const auto error = [](int64_t frames) { return test::error_of([&] { Strides{4, 8, 8}.latent_frames(frames); }); };
  EXPECT_EQ(error(8), "got 8 pixel frames, expected 1 + 4k; 9 would be right");
  EXPECT_EQ(error(6), "got 6 pixel frames, expected 1 + 4k; 5 would be right");
  EXPECT_EQ(error(0), "got 0 pixel frames, expected 1 + 4k; 1 would be right");
  EXPECT_EQ(test::error_of([] { Strides{4, 8, 8}.pixel_frames(0); }), "got 0 latent frames, expected at least 1");
}

TEST(Strides, OfACodecAndAPatchMultiply) {
  const Strides token = Strides{4, 8, 8} * Strides{1, 2, 1};
  EXPECT_EQ(token, (Strides{4, 16, 8}));
  EXPECT_TRUE(token.divide(/*width=*/24, /*height=*/32));
  EXPECT_FALSE(token.divide(/*width=*/32, /*height=*/24));
  EXPECT_EQ(token.multiples(), "multiples of 8 and 16");
  EXPECT_EQ((Strides{4, 16, 16}).multiples(), "multiples of 16");
}

struct Shape {
  virtual ~Shape() = default;
  virtual std::unique_ptr<Shape> clone() const = 0;
  int sides = 0;
};
struct Square : Shape {
  std::unique_ptr<Shape> clone() const override { return std::make_unique<Square>(*this); }
};

TEST(Cloned, IsCopiedAsAValue) {
  Cloned<Shape> first = Square();
  first->sides = 4;
  Cloned<Shape> second = first;
  second->sides = 5;
  EXPECT_EQ(first->sides, 4);
  EXPECT_NE(dynamic_cast<Square*>(&*second), nullptr);
  first = second;
  EXPECT_EQ(first->sides, 5);
  EXPECT_FALSE(Cloned<Shape>());
}

}  // namespace
}  // namespace moga
