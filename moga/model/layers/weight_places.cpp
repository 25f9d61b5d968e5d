// See weight_places.h.
#include "moga/model/layers/weight_places.h"

#include <ATen/ATen.h>

#include "moga/model/layers/host_weights.h"
#include "moga/model/layers/weight_stream.h"

namespace moga {

void allocate_weights(torch::nn::Module& model, const WeightStorage& storage,
                      const std::function<c10::ScalarType(const std::string&)>& kept_dtype) {
  for (const auto& item : model.named_parameters()) {
    const bool on_host = storage.stream_blocks ? item.key().starts_with("blocks.") : storage.rest_on_host;
    const bool in_8_bits = item.value().scalar_type() == at::kFloat8_e4m3fn;
    const at::ScalarType kept = in_8_bits ? at::kFloat8_e4m3fn : kept_dtype(item.key());
    const auto options = at::TensorOptions(on_host ? at::kCPU : storage.device).dtype(kept);
    item.value().set_data(at::empty(item.value().sizes(), options));
  }
  for (at::Tensor& scale : model.buffers()) scale.set_data(scale.to(storage.device));
}

void WeightPlaces::keep_blocks_on_host(const torch::nn::Module& blocks, c10::Device device) {
  stream_ = std::make_shared<WeightStream>(blocks.children(), device);
  blocks_ = stream_;
}

void WeightPlaces::stream_blocks() { stream_->start(); }

void WeightPlaces::keep_on_host(const torch::nn::Module& model, c10::Device device) {
  host_ = std::make_shared<HostWeights>(model.parameters(), device);
}

void WeightPlaces::wake() {
  if (host_) host_->wake();
}

void WeightPlaces::rest() {
  if (host_) host_->rest();
}

}  // namespace moga
