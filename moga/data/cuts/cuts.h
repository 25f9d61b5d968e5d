// Shot boundaries of a film, found while it is decoded, in memory that does not grow with its length.
//
//   clean       the shots meet: frame `before` is the last of one, `after` = before + 1 the first of the next
//   transition  a dissolve, fade or wipe: frames between `before` and `after` belong to neither shot
//
// A detector gets every frame, reduced to its own size. content_cuts.h compares frames with arithmetic alone,
// transnet.h is a network.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "moga/core/choice.h"

namespace moga {

struct Boundary {
  int64_t before = 0, after = 0;  // frame numbers from 0
  double score = 0;               // how clear it is; compared with the threshold below
  double threshold = 0;

  bool clean() const { return after == before + 1; }
};

enum class CutMethod { kContent, kTransNet, kNone };
template <>
inline constexpr auto kChoices<CutMethod> = std::array{
    Choice{CutMethod::kContent, "content", "differences of colour and structure between frames"},
    Choice{CutMethod::kTransNet, "transnetv2", "TransNetV2, a small network; needs weights"},
    Choice{CutMethod::kNone, "none", "every file is one shot, unless its list names cuts"},
};

struct CutConfig {
  CutMethod method = CutMethod::kContent;
  double hard_threshold = 0.33;
  double hard_ratio = 2.2;
  double gradual_threshold = 0.27;
  std::string weights;
  double transnet_threshold = 0.5;
  double transnet_within = 0.25;
  std::string device = "auto";

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("method", method, "how cuts are found");
    field("hard_threshold", hard_threshold,
          "least difference of two frames at a hard cut; unrelated pictures have 0.5");
    field("hard_ratio", hard_ratio, "least ratio of that difference to those of the frames around");
    field("gradual_threshold", gradual_threshold, "largest relative error of a dissolve as a blend of its two ends");
    field("weights", weights, "of transnetv2: a file made by tools/convert_transnetv2.py");
    field("transnet_threshold", transnet_threshold, "least probability of a boundary by transnetv2");
    field("transnet_within", transnet_within, "least probability of a frame within a gradual transition by transnetv2");
    field("device", device, "of transnetv2: auto, cpu, cuda, cuda:1");
  }
};

class CutDetector {
 public:
  virtual ~CutDetector() = default;
  virtual int64_t width() const = 0;
  virtual int64_t height() const = 0;
  virtual void add(const uint8_t* rgb) = 0;  // [height, width, 3]
  // After the last frame: all boundaries, in order.
  virtual std::vector<Boundary> finish() = 0;
};
std::unique_ptr<CutDetector> make_cut_detector(const CutConfig& config);

}  // namespace moga
