// The choice of a detector. See cuts.h.
#include "moga/data/cuts/cuts.h"

#include "moga/core/check.h"
#include "moga/data/cuts/content_cuts.h"
#include "moga/data/cuts/transnet.h"

namespace moga {
namespace {

class NoCuts : public CutDetector {
 public:
  int64_t width() const override { return 8; }
  int64_t height() const override { return 8; }
  void add(const uint8_t*) override {}
  std::vector<Boundary> finish() override { return {}; }
};

}  // namespace

void CutConfig::validate() const {
  check(hard_threshold > 0, "hard_threshold is ", hard_threshold, ", expected more than 0");
  check(hard_ratio >= 1, "hard_ratio is ", hard_ratio, ", expected at least 1");
  check(gradual_threshold >= 0 && gradual_threshold < 1, "gradual_threshold is ", gradual_threshold,
        ", expected 0 (no gradual transitions) to below 1");
  check(method != CutMethod::kTransNet || !weights.empty(),
        "method transnetv2 needs weights, a file made by tools/convert_transnetv2.py");
  check(transnet_threshold > 0 && transnet_threshold < 1, "transnet_threshold is ", transnet_threshold,
        ", expected between 0 and 1");
  check(transnet_within > 0 && transnet_within < 1, "transnet_within is ", transnet_within,
        ", expected between 0 and 1");
}

std::unique_ptr<CutDetector> make_cut_detector(const CutConfig& config) {
  if (config.method == CutMethod::kNone) return std::make_unique<NoCuts>();
  if (config.method == CutMethod::kTransNet) return std::make_unique<TransNetCuts>(config);
  return std::make_unique<ContentCuts>(config);
}

}  // namespace moga
