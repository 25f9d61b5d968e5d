// The models that measure films, read from a folder that the user fills:
//
//   DIR/dino-vitb16                               subjects          facebook/dino-vitb16
//   DIR/clip-vit-base-patch32                     backgrounds, cross-shot, text          openai/clip-vit-base-patch32
//   DIR/clip-vit-large-patch14                    aesthetic quality openai/clip-vit-large-patch14
//   DIR/sa_0_4_vit_l_14_linear.safetensors        its linear head   LAION-AI/aesthetic-predictor
//   DIR/dinov2-base                               cross-shot        facebook/dinov2-base
//
// What is not there is named with where to get it, and its measures are not computed. What is there and cannot be read
// is an error.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moga/model/image/clip_text.h"
#include "moga/model/image/clip_tokenizer.h"
#include "moga/model/image/image_processor.h"
#include "moga/model/image/vision_model.h"

namespace moga {

struct FilmModels {
  VisionModel dino{nullptr}, clip{nullptr}, clip_large{nullptr}, dinov2{nullptr};
  at::Tensor aesthetic_weight, aesthetic_bias;  // [1, P], [1]; undefined without the head
  ClipText text{nullptr};
  std::optional<ClipTokenizer> tokenizer;  // with `text`
  ImageProcessorConfig dinov2_images{.short_side = 256, .crop = 224, .image_mean = {}, .image_std = {}};
  at::Device device{at::kCPU};
  std::vector<std::string> missing;  // one line each

  bool any() const { return !dino.is_empty() || !clip.is_empty() || !clip_large.is_empty() || !dinov2.is_empty(); }
  bool aesthetic() const { return !clip_large.is_empty() && aesthetic_weight.defined(); }

  // Unit features [n, D] on the CPU of frames uint8 [n, 3, Y, X] on any device.
  at::Tensor dino_features(const at::Tensor& frames);
  at::Tensor clip_features(const at::Tensor& frames);
  at::Tensor clip_large_features(const at::Tensor& frames);
  at::Tensor dinov2_features(const at::Tensor& frames);
  // LAION's score / 10 of each frame, [n], of CLIP's unit features.
  at::Tensor aesthetic_scores(const at::Tensor& features) const;
  // Unit features of texts, [n, D]. `cut`: numbers of the texts that CLIP reads only in part.
  at::Tensor text_features(const std::vector<std::string>& texts, std::vector<int64_t>* cut = nullptr);
};

FilmModels load_film_models(const std::filesystem::path& folder, at::Device device);

}  // namespace moga
