// Codec: the interface of a video autoencoder of any family, between pixels in [-1, 1] and normalised latents, with
// memory that does not grow with duration.
//
// A family is one folder (vae/) and one line in registry.cpp. Its module derives from Codec, its config, which
// describes a codec without weights, from CodecConfig. Training a codec is left to its family.
#pragma once

#include <torch/nn/module.h>

#include <filesystem>
#include <functional>
#include <memory>

#include "moga/core/check.h"
#include "moga/core/cloned.h"
#include "moga/core/strides.h"
#include "moga/model/layers/convolution_way.h"
#include "moga/model/layers/weight_layout.h"

namespace moga {

class Codec;

struct CodecConfig {
  virtual ~CodecConfig() = default;

  virtual const char* class_name() const = 0;  // `_class_name` of its config.json
  virtual std::unique_ptr<CodecConfig> clone() const = 0;
  virtual std::shared_ptr<Codec> build() const = 0;
  virtual void validate() const = 0;

  virtual Strides strides() const = 0;          // pixels per latent
  virtual int64_t latent_channels() const = 0;  // z
  // FLOP of one latent frame of `latents` positions, that is strides().frames pixel frames.
  virtual double encode_flop(double latents) const = 0;
  virtual double decode_flop(double latents) const = 0;

 protected:
  CodecConfig() = default;
  CodecConfig(const CodecConfig&) = default;
  CodecConfig& operator=(const CodecConfig&) = default;
};

class Codec : public torch::nn::Module {
 public:
  // Gets decoded frames [B, 3, T, Y, X] in [-1, 1] in order, in the weights' dtype.
  using FrameSink = std::function<void(const at::Tensor& frames)>;

  virtual const CodecConfig& config() const = 0;
  // Normalised latents of a clip, streamed: video [B, 3, T, Y, X], T = strides.pixel_frames(F) → [B, z, F, Y', X']
  // float32 (float64 from float64 weights) on the weights' device. The video may be on another device and in another
  // dtype; it is read chunk by chunk.
  virtual at::Tensor encode(const at::Tensor& video) = 0;
  // The same for clips that are on the device in the weights' dtype, where the codec can encode them in one piece:
  // faster on a GPU, in memory that grows with the clip.
  virtual at::Tensor encode_clip(const at::Tensor& video) { return encode(video); }
  // Latent frame by latent frame.
  virtual void decode(const at::Tensor& latent, const FrameSink& sink) = 0;

  // From and to the latents' own scale, by each channel's mean and deviation. latent [B, z, F, Y', X'].
  virtual at::Tensor normalise(const at::Tensor& latent) const = 0;
  virtual at::Tensor denormalise(const at::Tensor& latent) const = 0;

  // For benchmarks. A codec with one way to compute its convolutions takes only "auto".
  virtual void set_convolution(ConvolutionWay way) {
    check(way == ConvolutionWay::automatic, config().class_name(), " cannot choose how its convolutions are computed, ",
          "expected ", name_of(ConvolutionWay::automatic), ", found ", name_of(way));
  }
  // For inference on a GPU: weights stored as its convolutions read them, so that no call converts them again.
  virtual void store_channels_last() = 0;
  virtual void save(const std::filesystem::path& folder, at::ScalarType dtype, WeightLayout layout) const = 0;
};

using CodecPtr = std::shared_ptr<Codec>;

}  // namespace moga
