// Cuts by arithmetic on reduced frames.
//
// A hard cut is a difference between two neighbours that is large by itself and against the differences around it,
// unless the picture returns within a few frames (a flash). A gradual transition is a stretch whose frames are blends
// (1 - α) a + α b of its two ends, with α rising from 0 to 1 and standing still outside, between pictures that differ;
// a fade is a blend with black. Decisions are made kAhead frames late, in a ring of frames.
#pragma once

#include <deque>
#include <optional>

#include "moga/data/cuts/cuts.h"
#include "moga/data/cuts/picture_difference.h"

namespace moga {

class ContentCuts : public CutDetector {
 public:
  explicit ContentCuts(const CutConfig& config) : config_(config) {}
  int64_t width() const override { return ReducedFrame::kWidth; }
  int64_t height() const override { return ReducedFrame::kHeight; }
  void add(const uint8_t* rgb) override;
  std::vector<Boundary> finish() override;
  size_t frames_kept() const { return entries_.size(); }

 private:
  struct Entry {
    ReducedFrame frame;
    double change;  // difference from the frame before
  };
  const Entry& at(int64_t frame) const { return entries_[static_cast<size_t>(frame - first_)]; }
  int64_t end() const { return first_ + static_cast<int64_t>(entries_.size()); }
  void decide(int64_t frame);
  void decide_hard(int64_t frame);
  bool is_flash(int64_t frame) const;
  void decide_gradual(int64_t begin);
  void decide_fade(int64_t frame);
  std::optional<Boundary> fit(int64_t begin, int64_t end) const;
  bool differs(int64_t begin, int64_t end) const;

  CutConfig config_;
  std::deque<Entry> entries_;
  int64_t first_ = 0;  // frame number of entries_.front()
  int64_t decided_ = 0;
  std::vector<Boundary> hard_, gradual_;
};

}  // namespace moga
