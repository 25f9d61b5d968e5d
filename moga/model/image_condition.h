// The condition of an image-to-video model: for each video, channels that show given frames and say which they are.
//
//   frames at their places in a clip of grey (0) → codec.encode → latents [z, F, Y', X']      ┐
//   mask [stride of time, F, Y', X']: 1 for the pixel frames that are given, else 0           ┘→ [C_c, F, Y', X']
//
// Channel j of the mask at latent frame i ≥ 1 is pixel frame stride · (i − 1) + 1 + j; all channels of latent frame 0
// are pixel frame 0. As in Wan2.1 and diffusers' WanImageToVideoPipeline, for one shot; a shot that begins later shows
// its image in all pixel frames of its first latent frame. Other models take such latents as they are (GivenLatents).
// Reads no files and resizes nothing.
#pragma once

#include "moga/model/codec.h"

namespace moga {

// Of one shot: float [3, Y, X] in [-1, 1], on any device; undefined: not given.
struct GivenFrames {
  at::Tensor first, last;
};

// uint8 [3, Y, X] → float32 in [-1, 1], in diffusers' order of operations.
at::Tensor given_frame(const at::Tensor& image);

// The parts of image_condition, for callers that encode and store them separately. Clip [1, 3, T, Y, X] in the codec's
// dtype and mask float32 [stride, F, 1, 1], on the host; `first`, `last`: of each shot, whether it is given.
at::Tensor image_clip(const Codec& codec, const std::vector<int64_t>& shot_frames, int64_t frames,
                      const std::vector<GivenFrames>& given);
at::Tensor image_mask(int64_t stride, const std::vector<int64_t>& shot_frames, const std::vector<bool>& first,
                      const std::vector<bool>& last);
// [stride, F, 1, 1] and [z, F, Y', X'] → [C_c, F, Y', X'], in the dtype and on the device of the latents.
at::Tensor masked_condition(const at::Tensor& mask, const at::Tensor& latents);
// The latent frames that begin the shots whose first frame is given, ascending.
std::vector<int64_t> given_latent_frames(const std::vector<int64_t>& shot_frames, const std::vector<bool>& first);

// float32 [C_c, F, Y', X'] on the codec's device. `shot_frames`: latent frames of each shot, empty: one shot; `frames`:
// F; `given`: one per shot, at least one of them with an image, all of the video's size. The clip is kept on the host
// in the codec's dtype and encoded chunk by chunk.
at::Tensor image_condition(Codec& codec, const std::vector<int64_t>& shot_frames, int64_t frames,
                           const std::vector<GivenFrames>& given);

// For a model that denoises around given frames (Wan2.2-TI2V-5B): latent frames of a video, and what they are.
struct GivenLatents {
  std::vector<int64_t> frames;  // ascending; empty: none
  at::Tensor latents;           // [z, frames, Y', X'] float32, on the codec's device
};

// Of the first frames of shots, encoded as image_condition does: in a clip of grey, up to the last one. The image of
// the first shot is a clip of one frame, as in diffusers. None when no shot has an image; last images throw.
GivenLatents given_latents(Codec& codec, const std::vector<int64_t>& shot_frames, int64_t frames,
                           const std::vector<GivenFrames>& given);

}  // namespace moga
