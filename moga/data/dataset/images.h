// Images in a data set: for which shots of a video an image-to-video model is given the first (and last) frame, and in
// which form the codec's latents of these images are stored. The settings are the section [images] of `moga prepare`.
//
//   condition   latents of a clip that is grey except for the images; the mask is computed from the flags of the shots
//   latents     latents of the images, which replace the latents of those frames
//
// Both are computed as moga/model/image_condition.h computes them when a film is generated.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "moga/core/choice.h"

namespace moga {

enum class ImageForm { kNone, kCondition, kLatents };
template <>
inline constexpr auto kChoices<ImageForm> = std::array{
    Choice{ImageForm::kNone, "none", "no images: for text-to-video models"},
    Choice{ImageForm::kCondition, "condition",
           "latents of a clip that contains them: for models with input channels for it (Wan2.1-I2V, FLF2V, "
           "Wan2.2-I2V-A14B)"},
    Choice{ImageForm::kLatents, "latents",
           "latents that replace those of the frames: for models that are given frames (Wan2.2-TI2V-5B)"},
};

struct ImagesConfig {
  ImageForm form = ImageForm::kNone;
  double share = 1.0;
  double last = 0.0;
  std::string image_encoder = {};
  int64_t seed = 1;

  bool enabled() const { return form != ImageForm::kNone; }
  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("form", form, "how the images of shots are stored, next to the latents of the videos");
    field("share", share, "fraction of the shots whose first frame is given as an image");
    field("last", last, "fraction of these whose last frame is given too, as first-and-last-frame models need");
    field("image_encoder", image_encoder,
          "folder image_encoder of a model folder: its embeddings of the images are stored too (Wan2.1-I2V)");
    field("seed", seed, "of the random choice of shots, which depends on it and the video alone");
  }
};

// Of each shot: whether its first and its last frame are images.
struct ShownImages {
  std::vector<bool> first, last;

  int64_t count() const;  // shots whose first frame is one
};

// For a video of these shots; `video`: a number that identifies it. In form condition at least one shot has an image,
// as in generation. A shot of one latent frame has no last image.
ShownImages draw_images(const ImagesConfig& config, uint64_t video, const std::vector<int64_t>& shot_frames);

// What is stored of a video's images, in the dtype of the video's latent unless stated.
struct SampleImages {
  ImageForm form = ImageForm::kNone;
  ShownImages shown;          // empty in form none
  at::Tensor condition = {};  // form condition: [z, F, Y', X'], of the whole clip
  // Form latents: [z, n, Y', X'] of the first latent frames of the n shots with an image; undefined when none has one.
  at::Tensor latents = {};
  // Embeddings of the images of each shot, first before last: bfloat16 [tokens, d], undefined for a shot without;
  // empty: the data set has none.
  std::vector<at::Tensor> embeddings = {};
};

// Of a whole data set.
struct StoredImages {
  ImageForm form = ImageForm::kNone;
  int64_t embedding = 0;     // width of the embeddings; 0: none
  bool some_last = false;    // the last frame of some shot is an image
  bool some_single = false;  // only the first frame of some shot is an image

  void add(const StoredImages& other);  // of another shard of the data set
};

}  // namespace moga
