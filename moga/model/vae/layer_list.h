// A sequence of layers, registered in a module as `name`.0, `name`.1, … as in the original's nn.Sequential.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "moga/model/vae/layers.h"

namespace moga {

class VaeLayers {
 public:
  VaeLayers(torch::nn::Module& parent, const std::string& name)
      : holder_(parent.register_module(name, std::make_shared<torch::nn::Module>())) {}
  template <class Layer, class... Arguments>
  void add(Arguments... arguments) {
    const std::string number = std::to_string(layers_.size());
    layers_.push_back(holder_->register_module(number, std::make_shared<Layer>(arguments...)));
  }
  // An interrupt ends it between two layers.
  at::Tensor forward(at::Tensor x, FeatureCache& cache);

 private:
  std::shared_ptr<torch::nn::Module> holder_;
  std::vector<std::shared_ptr<VaeLayer>> layers_;
};

}  // namespace moga
