// The images of a data set (moga/data/dataset/images.h): frames of a video's shots → what is stored of them, computed
// as in generation from the same images (moga/model/image_condition.h). The caller encodes the clips, as it encodes the
// videos.
#pragma once

#include <optional>

#include "moga/data/dataset/images.h"
#include "moga/model/codec.h"
#include "moga/model/image/image_encoder.h"
#include "moga/model/image/image_processor.h"

namespace moga {

// The images chosen for a video, and the clip of them that is still to be encoded.
struct DrawnImages {
  ShownImages shown;
  at::Tensor clip;  // [1, 3, T, Y, X] on the host in the codec's dtype; undefined when no shot has an image
  std::vector<at::Tensor> embeddings;
};

class ShotImageMaker {
 public:
  ShotImageMaker(const ImagesConfig& config, at::Device device);

  // `video`: a number that identifies it; `frames`: uint8 [T, 3, Y, X] of whole shots. In form latents the clip ends
  // with the last image unless `whole` is set.
  DrawnImages draw(const Codec& codec, uint64_t video, const at::Tensor& frames,
                   const std::vector<int64_t>& shot_frames, bool whole);
  // `latents`: of the clip, [z, F, Y', X']; undefined when there is no clip.
  SampleImages stored(const DrawnImages& drawn, const at::Tensor& latents,
                      const std::vector<int64_t>& shot_frames) const;

 private:
  at::Tensor embed(const std::vector<at::Tensor>& images);

  ImagesConfig config_;
  at::Device device_;
  ImageEncoder encoder_{nullptr};
  ImageProcessorConfig processor_;
};

}  // namespace moga
