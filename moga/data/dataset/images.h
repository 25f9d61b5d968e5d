// Images in a data set: which shots of a video show their first (and last) frame to an image-to-video model, and in
// which form its codec's latents of them are stored. The settings are the section [images] of `moga prepare`.
//
//   condition   latents of a clip that shows the images in grey; the mask is made of the shots that show one
//   latents     latents of the images, which take the place of those frames' own
//
// Both are what moga/model/image_condition.h makes of the images when a film is generated.
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
           "latents of a clip that shows them: for models with channels for it (Wan2.1-I2V, Wan2.2-I2V-A14B)"},
    Choice{ImageForm::kLatents, "latents",
           "latents in the place of those frames' own: for models that are given frames (Wan2.2-TI2V-5B)"},
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
    field("form", form, "how the images of shots are stored, beside the latents of the videos");
    field("share", share, "share of the shots whose first frame is an image");
    field("last", last, "share of these whose last frame is one too, as models of first and last frames need");
    field("image_encoder", image_encoder,
          "folder image_encoder of a model folder: its embeddings of the images are stored too (Wan2.1-I2V)");
    field("seed", seed, "of the draw: which shots show an image is a function of it and the video");
  }
};

// Of each shot: whether its first and its last frame are images.
struct ShownImages {
  std::vector<bool> first, last;

  int64_t count() const;  // shots whose first frame is one
};

// For a video of these shots; `video`: a number of its own. In form condition at least one shot has an image, as a film
// of such a model has. A shot of one latent frame has no last image.
ShownImages draw_images(const ImagesConfig& config, uint64_t video, const std::vector<int64_t>& shot_frames);

// What is stored of a video's images. dtypes as of the video's latent.
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
  bool some_last = false;    // a shot shows its last frame
  bool some_single = false;  // a shot shows its first frame alone

  void add(const StoredImages& other);  // of another shard of the data set
};

}  // namespace moga
