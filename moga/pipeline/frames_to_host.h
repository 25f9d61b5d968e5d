// Passes decoded frames to a file: checks them for NaN and infinity, rounds them to bytes and copies them from the GPU.
// The sink receives each chunk one chunk late, so that the GPU decodes the next one while the host writes.
#pragma once

#include <c10/core/Event.h>

#include <functional>
#include <optional>

#include "moga/core/check.h"
#include "moga/data/video/video.h"

namespace moga {

// Gets the next frames, uint8 [T, 3, Y, X] on the CPU, in order, as they are decoded.
using FrameSink = std::function<void(const at::Tensor& frames)>;

// Decoding gave NaN or infinity. The latents are finite, so decoding again in another dtype may help.
class FramesNotFinite : public Error {
  using Error::Error;
};

class FramesToHost {
 public:
  // `dtype`: what the VAE computes in, for the message.
  FramesToHost(const FrameSink& sink, at::ScalarType dtype) : sink_(sink), dtype_(dtype) {}

  void add(const at::Tensor& video);  // float [3, T, Y, X] in [-1, 1]
  void finish();

 private:
  void deliver(const at::Tensor& frames, const at::Tensor& finite);

  const FrameSink& sink_;
  at::ScalarType dtype_;
  int64_t delivered_ = 0;        // frames
  at::Tensor waiting_, finite_;  // uint8 [T, 3, Y, X], bool []; on the host once copied_ has happened
  std::optional<c10::Event> copied_;
};

}  // namespace moga
