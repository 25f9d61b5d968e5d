// The images of a data set (moga/data/dataset/images.h): frames of a video's shots → what is stored of them, as
// generation makes it of the same pictures (moga/model/image_condition.h). The clips are encoded by the caller, who
// encodes the videos too.
#pragma once

#include <optional>

#include "moga/data/dataset/images.h"
#include "moga/model/codec.h"
#include "moga/model/image/image_encoder.h"
#include "moga/model/image/image_processor.h"

namespace moga {

// What is to be encoded of a video's images.
struct DrawnImages {
  ShownImages shown;
  at::Tensor clip;  // [1, 3, T, Y, X] on the host in the codec's dtype; undefined when no shot shows an image
  std::vector<at::Tensor> embeddings;
};

class ShotImageMaker {
 public:
  ShotImageMaker(const ImagesConfig& config, at::Device device);

  // `video`: a number of its own; `frames`: uint8 [T, 3, Y, X] of whole shots. In form latents the clip may end with
  // the last image, unless it is to be a `whole` one.
  DrawnImages draw(const Codec& codec, uint64_t video, const at::Tensor& frames,
                   const std::vector<int64_t>& shot_frames, bool whole);
  // `latents`: of the clip, [z, F, Y', X']; undefined where there is none.
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
