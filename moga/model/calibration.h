// Calibration of a model's routers (attention/router_fit.h) by two observers of its blocks' attention inputs.
//
//   RouterInputs       keeps a bounded random sample of x, the routers' input → candidates for W, b of each layer
//   RouterMeasurement  compares MoGA's attention, by several routers, with full attention over the same q, k, v, and
//                      chooses the nearest candidate
//
// pipeline/calibrate.h runs the model and chooses videos and timesteps.
#pragma once

#include <map>

#include "moga/attention/router_fit.h"
#include "moga/core/choice.h"
#include "moga/model/video_model.h"

namespace moga {

// A layer's router on videos that it was not fitted to.
struct RouterScore {
  double smallest = 0, largest = 0;      // group of any video at any observed step, as a fraction of its tokens
  double balance = 0;                    // balance loss without α; 1 if balanced
  double gate = 0;                       // mean of p(g(x)|x)
  double error_mean = 0, error_lse = 0;  // ‖O - O_full‖ / ‖O_full‖ over all tokens, with combine mean and lse
};

// How candidates for a layer's router are computed. Similarity suits layers that attend to few tokens, a fair sample
// those that average over many.
enum class RouterMethod { kAuto, kTokens, kAttention, kSpread };
template <>
inline constexpr auto kChoices<RouterMethod> = std::array{
    Choice{RouterMethod::kAuto, "auto", "all of these; each layer uses the one with the least error"},
    Choice{RouterMethod::kTokens, "tokens", "k-means of x"},
    Choice{RouterMethod::kAttention, "attention", "k-means where x_i and x_j are similar when q_i·k_j is large"},
    Choice{RouterMethod::kSpread, "spread", "groups that are fair samples of the tokens"},
};
// Those whose candidates are computed: all for kAuto.
std::vector<RouterMethod> candidate_methods(RouterMethod method);

struct LayerCalibration {
  int64_t layer = 0;
  std::map<std::string, RouterWeights> candidates = {};  // by the method's name
  std::string method = {};                               // name of the one chosen
  const RouterWeights& router() const { return candidates.at(method); }
  // Scores of the candidates, of "random", of "trained" if the model has routers, and of "calibrated", the chosen
  // candidate.
  std::map<std::string, RouterScore> scores = {};
};

// The attention of a calibrated model: that of its config with kind "moga", whatever its kind.
VisualAttentionConfig calibrated_attention(const VideoModelConfig& config);

class RouterInputs {
 public:
  // `sets` (timesteps) are observed equally often; `quota` rows per layer and observation are kept, on the CPU.
  RouterInputs(int64_t sets, int64_t quota, int64_t seed);

  AttentionObserver observer(int64_t set);  // valid during the lifetime of this object
  // Fits candidates on `device` for each layer of `model` that has a router according to calibrated_attention. Calls
  // on_candidate after each of them.
  std::vector<LayerCalibration> fit(const VideoModel& model, RouterMethod method, const RouterFitConfig& config,
                                    at::Device device, const std::function<void()>& on_candidate = {}) const;

 private:
  int64_t sets_, quota_, seed_;
  std::map<int64_t, std::map<int64_t, std::vector<at::Tensor>>> kept_;  // [layer][set] → pieces [quota, C]
};

class RouterMeasurement {
 public:
  // The candidates, "random" (the initialisation of training, drawn from `seed`) and, if `model` has routers,
  // "trained".
  RouterMeasurement(const VideoModel& model, const std::vector<LayerCalibration>& layers, int64_t seed,
                    at::Device device);

  AttentionObserver observer(const Layout& layout);  // valid during the lifetime of this object
  // Sets method and scores of each layer. Candidates are compared with branches combined as in the model's config.
  void choose(std::vector<LayerCalibration>& layers) const;

 private:
  // Sums over all observations, on the device.
  struct Sums {
    at::Tensor smallest, largest, balance, gate;  // scalars
    at::Tensor error_mean, error_lse, full;       // squared, float64
    int64_t count = 0;
    void add(const Routing& routing, const Layout& layout);
    RouterScore score() const;
  };
  void measure(int64_t layer, const at::Tensor& x, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
               const StaticGroupings& groupings);

  Combine combine_;
  VisualAttentionConfig mean_, lse_;
  at::Device device_;
  std::map<int64_t, std::map<std::string, Router>> routers_;  // [layer][name]
  std::map<int64_t, std::map<std::string, Sums>> sums_;
};

}  // namespace moga
