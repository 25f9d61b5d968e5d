// The noise that a generation starts from: drawn on the CPU from the request's seed, or given.
//
// NoiseSource::kDiffusers repeats randn_tensor of diffusers: torch's CPU generator with the seed itself, float32 in the
// order of [1, z, F, Y', X'], so that a seed gives the film that diffusers makes of it. It does not repeat generators
// on a GPU, whose numbers are others.
#pragma once

#include "moga/pipeline/denoise.h"

namespace moga {

// float32 on the CPU, of shape `latent` = [z, F, Y', X'].
at::Tensor noise_of(const VideoRequest& request, at::IntArrayRef latent);

}  // namespace moga
