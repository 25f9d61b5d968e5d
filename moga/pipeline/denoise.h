// Denoising: captions and noise → latents, for a batch of videos of any sizes, packed into one sequence of tokens.
//
// With guidance every video is in the batch twice, with its captions and with its negative prompt, so that a sampler
// step is one evaluation of the transformer. Decoding is generate.h's.
#pragma once

#include "moga/pipeline/models.h"

namespace moga {

struct VideoRequest {
  VideoShape shape;                   // latent frames, token rows and columns, shots
  std::vector<std::string> captions;  // one a shot
  std::string negative_prompt;
  int64_t seed = 0;  // of the noise, which is drawn on the CPU: alike on every device
  at::Tensor noise;  // [z, F, 2·rows, 2·columns] to start from; undefined: drawn from the seed
};

// The shape of a video of this many pixels and shots; throws when a side is not a multiple of 16.
VideoShape video_shape(int64_t width, int64_t height, const std::vector<int64_t>& latent_shot_frames);

// What sees the attention's inputs in a step; an empty one for a step that is of no interest.
using StepObserver = std::function<AttentionObserver(int64_t step)>;

// A run that begins elsewhere than at its noise, and what hears of each step.
struct Continuation {
  std::optional<SampleState> start;  // on any device; x as one flat tensor, as on_step got it
  std::function<void(const SampleState& state)> on_step;
};

// Normalised latents, one a request: float32 [z, F, 2·rows, 2·columns] on the models' device. With guidance an observer
// sees the videos twice, with their captions and, behind these, with their negative prompts. Throws when latents become
// NaN or infinite, naming the step.
std::vector<at::Tensor> denoise(Models& models, const std::vector<VideoRequest>& requests, const SamplerConfig& sampler,
                                const StepObserver& observe = {}, const Continuation& continuation = {});

}  // namespace moga
