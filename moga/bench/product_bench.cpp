// See product_bench.h.
#include "moga/bench/product_bench.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>

#include "moga/bench/random_model.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/model/layers/linear.h"
#include "moga/model/layers/projections.h"
#include "moga/model/layers/scaled_weights.h"

namespace moga {
namespace {

// The products of a block, under the names by which weights are chosen for 8 bits.
class ProductsImpl : public torch::nn::Module {
 public:
  explicit ProductsImpl(const ProductBenchConfig& config)
      : attention_(register_module(
            "self_attn", Projections(ProjectionsConfig{.width = config.width, .heads = 1, .qk_norm = false}))),
        mlp_(register_module("ffn", Mlp(config.width, config.ffn, config.width, Activation::kGeluTanh))) {}

  void forward(const at::Tensor& x) {
    attention_->projected(x, {});
    attention_->output(x.unsqueeze(1));
    mlp_(x);
  }

 private:
  Projections attention_;
  Mlp mlp_;
};
TORCH_MODULE(Products);

constexpr double kDeviation = 0.02;  // of weights

// The blocks of a model that has one.
torch::nn::ModuleList random_products(const ProductBenchConfig& config, const BenchSetup& setup) {
  torch::nn::ModuleList blocks;
  blocks->push_back(Products(config));
  int64_t index = 0;
  for (at::Tensor& parameter : blocks->parameters())
    parameter.set_data(random_tensor(parameter.sizes(), ++index, setup.device, setup.dtype).mul_(kDeviation));
  return blocks;
}

struct ModelImpl : torch::nn::Module {
  explicit ModelImpl(torch::nn::ModuleList list) : blocks(register_module("blocks", std::move(list))) {}
  torch::nn::ModuleList blocks;
};

}  // namespace

void ProductBenchConfig::validate() const {
  check(width > 0 && ffn > 0 && tokens > 0, "products of ", tokens, " tokens of ", width, ", hidden ", ffn);
}

BenchReport bench_products(const ProductBenchConfig& config, const BenchSetup& setup) {
  config.validate();
  const at::NoGradGuard no_grad;
  Meter meter(setup.device, setup.meter);
  BenchReport report{"products",
                     device_name(setup.device),
                     dtype_name(setup.dtype),
                     {{"tokens", config.tokens}, {"width", config.width}, {"ffn", config.ffn}},
                     measure_rates(meter, setup.dtype),
                     "times faster",
                     {}};
  ModelImpl model(random_products(config, setup));
  const at::Tensor x = random_tensor({config.tokens, config.width}, 0, setup.device, setup.dtype);
  const auto c = static_cast<double>(config.width), n = static_cast<double>(config.tokens);
  const double flop = 2 * n * (4 * c * c + 2 * c * static_cast<double>(config.ffn));
  const auto measure = [&](const std::string& weights) {
    stop_if_interrupted();
    log_info("measuring ", weights);
    BenchRow row{weights, "", "forward", meter.measure([&] { model.blocks[0]->as<ProductsImpl>()->forward(x); }),
                 flop,    {}};
    row.ratio = report.rows.empty() ? 1 : report.rows.front().measured.seconds / row.measured.seconds;
    report.rows.push_back(row);
  };
  measure(dtype_name(setup.dtype));
  quantise_weights(model);
  measure("8-bit weights");
  use_8_bit_products(model);
  measure("8-bit products");
  return report;
}

}  // namespace moga
