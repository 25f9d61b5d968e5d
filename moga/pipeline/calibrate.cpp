// Two runs over the scripts. The first keeps a random sample of each layer's router inputs, as many from every script
// and step, so that memory is bounded by CalibrationConfig::tokens. The second, from other noise, keeps only sums.
#include "moga/pipeline/calibrate.h"

#include <ATen/ATen.h>

#include <chrono>

#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/core/module_io.h"
#include "moga/core/random.h"

namespace moga {
namespace {

constexpr int64_t kHeldOut = 1'000'003;  // added to a script's seed for the second run

using NamedRouters = std::map<std::string, Router>;

VideoRequest make_request(const Script& script, int64_t seed) {
  VideoRequest request;
  request.shape = video_shape(script.size[0], script.size[1], script.latent_shot_frames());
  request.captions = script.captions();
  request.negative_prompt = script.negative_prompt;
  request.seed = seed;
  return request;
}

// The place of each observed step among them.
std::map<int64_t, int64_t> observed_steps(const CalibrationConfig& config) {
  const int64_t count = std::min(config.observed_steps, config.sampler.steps);
  std::map<int64_t, int64_t> steps;
  for (int64_t i = 0; i < count; ++i) steps[(2 * i + 1) * config.sampler.steps / (2 * count)] = i;
  return steps;
}

// The first run: router inputs of each layer, [layer][step] → pieces [quota, C] on the CPU.
class Sample {
 public:
  Sample(const CalibrationConfig& config, size_t scripts) : config_(config), steps_(observed_steps(config)) {
    const int64_t runs = static_cast<int64_t>(scripts * steps_.size());
    quota_ = std::max<int64_t>(1, config.tokens / runs);
  }

  StepObserver observer(int64_t script) {
    return [this, script](int64_t step) -> AttentionObserver {
      const auto place = steps_.find(step);
      if (place == steps_.end()) return {};
      return [this, script, step = place->second](int64_t layer, const at::Tensor& x, const at::Tensor&,
                                                  const at::Tensor&, const at::Tensor&) {
        const uint64_t name = static_cast<uint64_t>((script * 1000 + layer) * 1000 + step);
        const at::Tensor rows = at::randint(x.size(0), {quota_}, random_stream(config_.fit.seed, "calibrate", name),
                                            at::TensorOptions(at::kLong));
        kept_[layer][step].push_back(x.index_select(0, rows.to(x.device())).cpu());
      };
    };
  }

  // Rows of the first step, then of the second, …: as many of each.
  at::Tensor rows(int64_t layer) const {
    std::vector<at::Tensor> all;
    for (const auto& [step, pieces] : kept_.at(layer)) all.insert(all.end(), pieces.begin(), pieces.end());
    return at::cat(all);
  }
  int64_t sets() const { return static_cast<int64_t>(steps_.size()); }

 private:
  const CalibrationConfig& config_;
  std::map<int64_t, int64_t> steps_;
  std::map<int64_t, std::map<int64_t, std::vector<at::Tensor>>> kept_;
  int64_t quota_;
};

// Sums over the second run, on the models' device.
struct Sums {
  at::Tensor smallest, largest, balance, gate;  // scalars
  at::Tensor error_mean, error_lse, full;       // squared, float64
  int64_t count = 0;

  void add(const Routing& routing, const Layout& layout) {
    const at::Tensor counts = group_histogram(routing, layout).to(at::kDouble);  // [B, M]
    const at::Tensor share = counts / counts.sum(1, /*keepdim=*/true);
    const at::Tensor least = share.min(), most = share.max();
    smallest = smallest.defined() ? at::minimum(smallest, least) : least;
    largest = largest.defined() ? at::maximum(largest, most) : most;
    add_to(balance, balance_loss(routing, layout));
    add_to(gate, routing.probabilities.amax(1).mean());
    ++count;
  }
  static void add_to(at::Tensor& sum, const at::Tensor& value) { sum = sum.defined() ? sum + value : value; }

  RouterScore score() const {
    const auto value = [](const at::Tensor& x) { return x.to(at::kDouble).item<double>(); };
    const double size = std::max(value(full), 1e-300), times = static_cast<double>(count);
    return {.smallest = value(smallest),
            .largest = value(largest),
            .balance = value(balance) / times,
            .gate = value(gate) / times,
            .error_mean = std::sqrt(value(error_mean) / size),
            .error_lse = std::sqrt(value(error_lse) / size)};
  }
};

at::Tensor squared_distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kFloat) - b).square().sum(at::kDouble);
}

// The second run: each layer's attention by each router against full attention over the same q, k, v.
class Measurement {
 public:
  Measurement(const VisualAttentionConfig& target, const std::map<int64_t, NamedRouters>& routers)
      : mean_(target), lse_(target), routers_(routers) {
    mean_.combine = "mean";
    lse_.combine = "lse";
  }

  StepObserver observer(const Layout& layout, const std::map<int64_t, int64_t>& steps, c10::Device device) {
    const auto groupings = std::make_shared<const StaticGroupings>(static_groupings(layout, mean_, device));
    return [this, groupings, &steps](int64_t step) -> AttentionObserver {
      if (!steps.contains(step)) return {};
      return [this, groupings](int64_t layer, const at::Tensor& x, const at::Tensor& q, const at::Tensor& k,
                               const at::Tensor& v) {
        if (routers_.contains(layer)) measure(layer, x, q, k, v, *groupings);
      };
    };
  }

  std::map<std::string, RouterScore> scores(int64_t layer) const {
    std::map<std::string, RouterScore> scores;
    for (const auto& [name, sums] : sums_.at(layer)) scores[name] = sums.score();
    return scores;
  }

 private:
  void measure(int64_t layer, const at::Tensor& x, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
               const StaticGroupings& groupings) {
    const at::Tensor full =
        visual_attention(q, k, v, nullptr, groupings, mean_.with_kind("full")).to(at::kFloat);  // [N, H, D]
    for (auto [name, router] : routers_.at(layer)) {
      const Routing routing = router->forward(x, groupings.layout);
      Sums& sums = sums_[layer][name];
      sums.add(routing, groupings.layout);
      Sums::add_to(sums.full, full.square().sum(at::kDouble));
      Sums::add_to(sums.error_mean, squared_distance(visual_attention(q, k, v, &routing, groupings, mean_), full));
      Sums::add_to(sums.error_lse, squared_distance(visual_attention(q, k, v, &routing, groupings, lse_), full));
    }
  }

  VisualAttentionConfig mean_, lse_;
  const std::map<int64_t, NamedRouters>& routers_;
  std::map<int64_t, std::map<std::string, Sums>> sums_;
};

Router make_router(const RouterWeights& weights, const std::string& gate, c10::Device device) {
  Router router(weights.weight.size(1), weights.weight.size(0), gate);
  router->weight = weights.weight.to(device);
  router->bias = weights.bias.to(device);
  return router;
}

// Calibrated, as a new model begins (TransformerImpl::initialise_routers), and the model's own.
NamedRouters routers_of(const LayerCalibration& layer, const TensorMap& model, const CalibrationConfig& config,
                        const std::string& gate, c10::Device device) {
  const RouterWeights& fitted = layer.router;
  const at::Generator random = random_stream(config.fit.seed, "random router", layer.layer);
  const RouterWeights fresh{at::randn(fitted.weight.sizes(), random) * 0.02, at::zeros(fitted.bias.sizes())};
  NamedRouters routers{{"calibrated", make_router(fitted, gate, device)}, {"random", make_router(fresh, gate, device)}};
  const std::string prefix = "blocks." + std::to_string(layer.layer) + ".self_attn.router.";
  if (model.contains(prefix + "weight"))
    routers.emplace("trained", make_router({model.at(prefix + "weight"), model.at(prefix + "bias")}, gate, device));
  return routers;
}

std::vector<LayerCalibration> fit_layers(const Models& models, const Sample& sample,
                                         const VisualAttentionConfig& target, const CalibrationConfig& config) {
  const int64_t layers = models.transformer->config().num_layers;
  Progress progress("k-means", layers, "layer");
  std::vector<LayerCalibration> fitted;
  for (int64_t layer = 0; layer < layers; ++layer) {
    stop_if_interrupted();
    if (target.of_layer(layer).uses_router())
      fitted.push_back(
          {layer, fit_router(sample.rows(layer).to(models.device), sample.sets(), target.groups, config.fit)});
    progress.advance();
  }
  return fitted;
}

std::map<std::string, RouterScore> summary(const std::vector<LayerCalibration>& layers) {
  std::map<std::string, RouterScore> all;
  const double share = 1.0 / static_cast<double>(layers.size());
  for (const LayerCalibration& layer : layers)
    for (const auto& [name, score] : layer.scores) {
      const bool first = !all.contains(name);
      RouterScore& sum = all[name];
      sum.smallest = first ? score.smallest : std::min(sum.smallest, score.smallest);
      sum.largest = std::max(sum.largest, score.largest);
      sum.balance += share * score.balance;
      sum.gate += share * score.gate;
      sum.error_mean += share * score.error_mean;
      sum.error_lse += share * score.error_lse;
    }
  return all;
}

}  // namespace

void CalibrationConfig::validate() const {
  check(observed_steps >= 1, "observed_steps = ", observed_steps, ", expected 1 or more");
  check(tokens >= 1, "tokens = ", tokens, ", expected 1 or more");
  fit.validate();
  sampler.validate();
}

Calibration calibrate(Models& models, const std::vector<Script>& scripts, const CalibrationConfig& config) {
  config.validate();
  check(!scripts.empty(), "calibrate: no scripts");
  const auto start = std::chrono::steady_clock::now();
  const VisualAttentionConfig target = models.transformer->config().moga.with_kind("moga");
  target.validate();
  check(target.routed, "calibrate: routed = false in the model's config: it has no routers to calibrate");

  log_info("calibrate: collecting router inputs from ", scripts.size(), " scripts");
  Sample sample(config, scripts.size());
  for (size_t i = 0; i < scripts.size(); ++i)
    denoise(models, {make_request(scripts[i], scripts[i].seed)}, config.sampler,
            sample.observer(static_cast<int64_t>(i)));

  Calibration calibration{fit_layers(models, sample, target, config)};
  check(!calibration.layers.empty(), "calibrate: full_layers names every block: there are no routers to calibrate");
  std::map<int64_t, NamedRouters> routers;
  const TensorMap tensors = named_tensors(*models.transformer);
  for (const LayerCalibration& layer : calibration.layers)
    routers.emplace(layer.layer, routers_of(layer, tensors, config, target.gate, models.device));

  log_info("calibrate: measuring on other noise");
  Measurement measurement(target, routers);
  const std::map<int64_t, int64_t> steps = observed_steps(config);
  for (const Script& script : scripts) {
    const VideoRequest request = make_request(script, script.seed + kHeldOut);
    const Layout layout{std::vector<VideoShape>(config.sampler.guidance != 1.0 ? 2 : 1, request.shape)};
    denoise(models, {request}, config.sampler, measurement.observer(layout, steps, models.device));
  }
  for (LayerCalibration& layer : calibration.layers) layer.scores = measurement.scores(layer.layer);
  calibration.all = summary(calibration.layers);
  calibration.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return calibration;
}

}  // namespace moga
