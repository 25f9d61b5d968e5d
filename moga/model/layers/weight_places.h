// Where a model's weights are, for every family: on the device, on the host while the model rests, or with its blocks'
// weights streamed from the host or gathered from other ranks.
//
//   allocate_weights     storage of the final dtype and device, before a file's values are written to it
//   keep_blocks_on_host  then stream_blocks once the weights are filled (weight_stream.h)
//   keep_on_host         then wake and rest (host_weights.h)
//
// A model holds one WeightPlaces and passes VideoModel's calls on to it.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>
#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>

#include "moga/model/layers/block_weights.h"

namespace moga {

class HostWeights;
class WeightStream;

struct WeightStorage {
  c10::Device device = c10::kCPU;
  bool stream_blocks = false;  // weights of blocks.0, blocks.1, … on the host, instead of the device
  bool rest_on_host = false;   // all weights; no effect with stream_blocks
};

// Gives each parameter storage of the dtype that `kept_dtype` says for its name, without values; weights in 8 bits stay
// so. Scales are moved to the device with their values.
void allocate_weights(torch::nn::Module& model, const WeightStorage& storage,
                      const std::function<c10::ScalarType(const std::string&)>& kept_dtype);

class WeightPlaces {
 public:
  // `blocks`: the modules blocks.0, blocks.1, …, in order.
  void keep_blocks_on_host(const torch::nn::Module& blocks, c10::Device device);
  void stream_blocks();
  void keep_on_host(const torch::nn::Module& model, c10::Device device);
  void wake();
  void rest();

  void set_blocks(std::shared_ptr<BlockWeights> weights) { blocks_ = std::move(weights); }
  const std::shared_ptr<BlockWeights>& blocks() const { return blocks_; }

 private:
  std::shared_ptr<WeightStream> stream_;  // null unless blocks are kept on the host
  std::shared_ptr<HostWeights> host_;     // null unless all weights are
  std::shared_ptr<BlockWeights> blocks_ = std::make_shared<ResidentWeights>();
};

}  // namespace moga
