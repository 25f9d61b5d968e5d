// Layers of a pre-norm transformer, which CLIP's two towers, DINO and DINOv2 share: [n, tokens, C] → the same.
//
//   x += s1 ⊙ out(attention(q, k, v of norm1(x)));  x += s2 ⊙ second(act(first(norm2(x))))
//
// s1 and s2 are DINOv2's layer scales, 1 in the other families. A family is a table of names under which its
// checkpoints have these weights. Inference only.
#pragma once

#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "moga/model/image/image_encoder.h"

namespace moga {

struct PreNormConfig {
  int64_t width = 0;   // C
  int64_t hidden = 0;  // of the feed-forward layer
  int64_t layers = 0, heads = 0;
  ImageActivation activation = ImageActivation::kGelu;
  double epsilon = 1e-5;  // of the norms
  bool causal = false;    // a token attends to itself and those before it
};

// Below "<list>.<number>."; the scales are nullptr where a family has none.
struct PreNormNames {
  const char* list;
  const char *q, *k, *v, *out, *norm1, *norm2, *first, *second;
  const char *scale1 = nullptr, *scale2 = nullptr;
};
// Of both of CLIP's towers, below "vision_model." or "text_model.".
inline constexpr PreNormNames kClipLayers = {.list = "encoder.layers",
                                             .q = "self_attn.q_proj",
                                             .k = "self_attn.k_proj",
                                             .v = "self_attn.v_proj",
                                             .out = "self_attn.out_proj",
                                             .norm1 = "layer_norm1",
                                             .norm2 = "layer_norm2",
                                             .first = "mlp.fc1",
                                             .second = "mlp.fc2"};

struct Affine {
  at::Tensor weight, bias;
};
// Parameters "<path>.weight" and "<path>.bias" of `root`, without values. The modules of the path are made as needed.
Affine register_affine(torch::nn::Module& root, const std::string& path, at::IntArrayRef weight);
at::Tensor register_tensor(torch::nn::Module& root, const std::string& path, at::IntArrayRef shape);
at::Tensor normalised(const at::Tensor& x, const Affine& norm, double epsilon);

class PreNormLayers {
 public:
  PreNormLayers(torch::nn::Module& root, const PreNormConfig& config, const PreNormNames& names);
  at::Tensor operator()(int64_t number, const at::Tensor& x) const;
  int64_t size() const { return config_.layers; }

 private:
  struct Layer {
    Affine q, k, v, out, norm1, norm2, first, second;
    at::Tensor scale1, scale2;  // undefined: 1
  };

  PreNormConfig config_;
  std::vector<Layer> layers_;
};

}  // namespace moga
