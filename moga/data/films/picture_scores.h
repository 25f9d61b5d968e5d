// Numbers of a shot's pictures, from luma frames of about 320 x 180 pixels (kScoreArea, the film's aspect ratio, sides
// multiples of 16), kScoreRate of them a second. Luma is 0 to 255. Memory does not grow with the shot.
//
//   luma       mean over pixels and frames
//   black      part of the frames in which 98 % of the pixels have a luma of at most 25
//   dark       part of the pixels with a luma of at most 4; bright: of at least 251
//   sharpness  variance of the Laplacian (4 neighbours), mean over the frames that are not black
//   still      part of the pairs of frames 1/8 s apart in which no block of 16 x 16 pixels changed by more than 1 on
//              average
//   motion     how far blocks of 16 x 16 pixels move, mean over blocks and pairs, in percent of the picture's height
//              per second; found within 8 pixels per pair, so at most about 35
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace moga {

inline constexpr int64_t kScoreArea = 320 * 180, kScoreMultiple = 16;
inline constexpr double kScoreRate = 8;

struct LumaFrame {
  LumaFrame() = default;
  LumaFrame(const uint8_t* rgb, int64_t width, int64_t height);  // [height, width, 3]

  int64_t width = 0, height = 0;
  std::vector<uint8_t> luma;
};

// What one frame adds.
struct FrameScores {
  double luma = 0, dark = 0, bright = 0, sharpness = 0;
  bool black = false;
};
FrameScores frame_scores(const LumaFrame& frame);

// What two neighbours add.
struct PairScores {
  double change = 0;  // of the block that changed most: mean absolute difference of luma
  double motion = 0;  // mean over blocks, in pixels
};
PairScores pair_scores(const LumaFrame& a, const LumaFrame& b);

// 64 bits, one per low frequency of the picture's cosine transform: whether it is above their median. Pictures that
// look alike, in another size or more strongly compressed, differ in few bits.
uint64_t picture_hash(const LumaFrame& frame);

// Over the frames of a shot.
class ShotScores {
 public:
  void add(LumaFrame frame, double time);  // in seconds
  void release() { last_ = {}; }           // after the last frame: keeps the numbers only

  int64_t frames() const { return frames_; }
  double luma() const { return luma_ / per_frame(); }
  double dark() const { return dark_ / per_frame(); }
  double bright() const { return bright_ / per_frame(); }
  double black() const { return static_cast<double>(black_) / per_frame(); }
  double sharpness() const { return frames_ > black_ ? sharpness_ / static_cast<double>(frames_ - black_) : 0; }
  double still() const { return pairs_ > 0 ? static_cast<double>(still_) / static_cast<double>(pairs_) : 0; }
  double motion() const { return pairs_ > 0 ? motion_ / static_cast<double>(pairs_) : 0; }
  // Seconds of the longest stretch.
  double longest_black() const { return longest_black_; }
  double longest_still() const { return longest_still_; }

 private:
  double per_frame() const { return static_cast<double>(frames_ > 0 ? frames_ : 1); }

  LumaFrame last_;
  double last_time_ = 0;
  int64_t frames_ = 0, black_ = 0, pairs_ = 0, still_ = 0;
  double luma_ = 0, dark_ = 0, bright_ = 0, sharpness_ = 0, motion_ = 0;
  double black_run_ = 0, still_run_ = 0, longest_black_ = 0, longest_still_ = 0;
};

}  // namespace moga
