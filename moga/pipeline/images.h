// The images of a request's shots → what a model of images is given (denoise.h: Conditions): latents and mask of a
// video that shows them (model/image_condition.h), and the image encoder's embeddings of each.
//
// Wan2.2-TI2V-5B is given the latents of the images instead, in the place of those frames' own.
//
// The images are resized to the video's size by Lanczos filtering and so may be stretched, as in diffusers; the image
// encoder gets the images themselves. A shot without images sees the embeddings of none.
#pragma once

#include "moga/pipeline/denoise.h"

namespace moga {

// Fills in `images` and `image_tokens`, or `given`; does nothing for a model of text alone. Needs codec and image
// encoder. Throws one line that names the shot when the images are not those that the model can be given: check_images.
// Of several ranks each encodes them.
void encode_images(Models& models, const std::vector<VideoRequest>& requests, Conditions& conditions,
                   const ProcessGroup& ranks = {});

// Text and images.
Conditions encode_conditions(Models& models, const std::vector<VideoRequest>& requests, const SamplerConfig& sampler);

// Whether a shot has a first and a last image.
struct ShotHas {
  bool first = false, last = false;
};
// Throws one line when a model of text alone is given images, a model of images none, or a shot a last image that the
// model cannot use. `latent_frames`: of each shot. A model with expand_timesteps runs with and without images.
void check_images(const VideoModelConfig& model, const std::vector<ShotHas>& shots,
                  const std::vector<int64_t>& latent_frames, bool expand_timesteps = false);

}  // namespace moga
