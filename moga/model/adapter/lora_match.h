// The layers of a model that a LoRA file updates. Targets are looked up in every spelling of the model's own names: in
// both layouts (VideoModel::name_in), with dots or kohya's underscores.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "moga/model/adapter/lora_file.h"
#include "moga/model/video_model.h"

namespace moga {

// "blocks.0.attn1.to_q", "blocks_0_self_attn_q", … → the model's own name of the layer or tensor,
// "blocks.0.self_attn.q".
std::map<std::string, std::string> layer_spellings(const VideoModel& model);

class LoraMatch {
 public:
  // `model`: its names and shapes, which may be all that it has. Throws one line when targets are no layers of the
  // model (listed), when a shape is not that of its layer, or a factor is not finite.
  LoraMatch(const LoraFile& file, const VideoModel& model);

  // Adds weight · update to the model's layers, which must be those of the constructor's model. Factors are kept next
  // to the weights, on `device` in `dtype`; full differences are added to the weights themselves.
  void apply(VideoModel& model, double weight, at::Device device, at::ScalarType dtype) const;

  size_t size() const { return targets_.size(); }
  int64_t largest_rank() const;

 private:
  struct Target {
    std::string layer;  // the model's own name
    LoraUpdate update;
  };
  void check_target(const Target& target, const TensorMap& tensors, bool is_product) const;
  void check_finite(const std::string& name) const;

  Safetensors file_;
  std::vector<Target> targets_;
};

}  // namespace moga
