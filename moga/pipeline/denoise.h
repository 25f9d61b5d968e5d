// Denoising: embedded captions, images and noise → latents, for a batch of videos of any sizes, packed into one
// sequence of tokens.
//
//   requests → encode_prompts (text encoder) ─┬→ denoise (transformer) → latents → decode_frames (generate.h)
//            → encode_images (images.h) ──────┘
//
// The stages are separate so that a caller can release each model before the next stage needs its memory. With guidance
// every video is in the batch twice (moga/model/denoiser.h), so a sampler step is one evaluation of the transformer.
// Ranks that work together call both with the same requests and get the same results; an interrupt of any of them ends
// all of them after the same step.
#pragma once

#include "moga/data/script.h"
#include "moga/model/image_condition.h"
#include "moga/parallel/mesh.h"
#include "moga/pipeline/models.h"

namespace moga {

// Images that a shot shows: its first and its last frame, uint8 RGB [3, Y, X] of any size; undefined: none.
struct ShotImages {
  at::Tensor first, last;
};

struct VideoRequest {
  VideoShape shape;                   // latent frames, token rows and columns, shots
  std::vector<std::string> captions;  // one per shot
  std::string negative_prompt;
  int64_t seed = 0;  // of the noise, which is drawn on the CPU: the same on every device
  NoiseSource noise_from = NoiseSource::kMoga;
  at::Tensor noise = {};                // [z, F, Y', X'] to start from; undefined: drawn from the seed
  std::vector<ShotImages> images = {};  // one per shot, where the model is shown images; else empty
};

// The shape of a video of this many pixels and shots; throws when a side does not divide into tokens.
struct PixelSize {
  int64_t width = 0, height = 0;
};
VideoShape video_shape(PixelSize size, const std::vector<int64_t>& latent_shot_frames, const Strides& pixels_per_token);

// [S, text_tokens, text_dim] in the models' dtype on their device: the captions of all shots of all videos and, with
// guidance, the negative prompt of each shot after them. Needs tokenizer and text encoder, and the configs of the rest.
// With several ranks, rank 0 encodes and the others receive: they need no text encoder.
at::Tensor encode_prompts(Models& models, const std::vector<VideoRequest>& requests, const SamplerConfig& sampler,
                          const ProcessGroup& ranks = {});

// The text tokens of each of these captions (VideoModelInput::text_lengths). Needs the tokenizer.
std::vector<int64_t> prompt_lengths(const Models& models, const std::vector<VideoRequest>& requests,
                                    const SamplerConfig& sampler);

// What the model is given besides latents, of all videos: what encode_prompts and encode_images return.
struct Conditions {
  at::Tensor text;
  std::vector<at::Tensor> images = {};  // VideoModelInput::condition
  ImageTokens image_tokens = {};
  std::vector<GivenLatents> given = {};  // of each video, for models with expand_timesteps; empty: none in any
};

// What observes the attention's inputs in a step; returns an empty observer for a step of no interest.
using StepObserver = std::function<AttentionObserver(int64_t step)>;

// A run that starts from a kept state instead of its noise, and a callback after each step.
struct Continuation {
  std::optional<SampleState> start;  // on any device; x as one flat tensor, as on_step got it; rank 0's counts
  std::function<void(const SampleState& state)> on_step;
};

// Gets the estimate of the clean latents of all videos, [z, F, Y', X'] each, after every `every`-th step, on rank 0:
// x_0 = x_t − t · v of that step.
struct EstimateSink {
  int64_t every = 0;  // 0: none
  std::function<void(int64_t steps, const std::vector<at::Tensor>& latents)> show;
};

struct DenoiseOptions {
  SamplerConfig sampler;
  StepObserver observe = {};
  Continuation continuation = {};
  EstimateSink estimates = {};
  Mesh mesh = {};  // Mesh::generation, of the ranks that denoise together
};

// The mesh on which `ranks` denoise together: with guidance and an even number of ranks, half of them evaluate the
// captions and half the negative prompts; the ranks of a half share the videos. Every rank calls it.
Mesh generation_mesh(const ProcessGroup& ranks, const SamplerConfig& sampler);

// Normalised latents, one per request: float32 [z, F, Y', X'] on the models' device. `conditions`: of the same requests
// and sampler. Needs no text or image encoder. Throws when latents become NaN or infinite, naming the step.
std::vector<at::Tensor> denoise(const Models& models, const std::vector<VideoRequest>& requests,
                                const Conditions& conditions, const DenoiseOptions& options);

// The sampler steps that each expert computes; of a model of one: all steps.
std::vector<std::vector<int64_t>> steps_of_experts(const Models& models, const SamplerConfig& sampler);

}  // namespace moga
