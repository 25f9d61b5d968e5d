// Black borders of a shot (letterbox, pillarbox), over its frames.
//
// A row or column belongs to the border when at most 2 % of its pixels are brighter than `black` in every frame. A
// border is clear when the picture begins with a step behind it; a picture that is dark at its edge has none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "moga/data/films/picture_scores.h"

namespace moga {

struct Borders {
  std::array<int64_t, 4> sides = {};                     // left, top, right, bottom, in pixels
  std::array<bool, 4> clear = {true, true, true, true};  // whether each side is known
};

class BorderFinder {
 public:
  explicit BorderFinder(double black) : black_(black) {}
  void add(const LumaFrame& frame);
  Borders borders() const;

 private:
  // Along one axis: the brightest frame's share of bright pixels and mean, of each line.
  struct Lines {
    std::vector<double> bright, mean;
  };
  static void add_lines(Lines& lines, const LumaFrame& frame, bool rows, double black);

  double black_;
  Lines rows_, columns_;
};

// Sides that are not clear get the smallest border of the film's other shots where that is black here too, or none.
void settle_borders(std::vector<Borders>& shots);

}  // namespace moga
