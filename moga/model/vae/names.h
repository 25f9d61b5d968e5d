// The autoencoder's parameter names: Wan2.1's, which the modules carry, and diffusers' (AutoencoderKLWan). Nothing but
// names differs, and the decoder's levels: Wan2.1 numbers its layers through, diffusers by level.
#pragma once

#include <string>
#include <vector>

#include "moga/model/vae/vae.h"
#include "moga/model/layers/weight_layout.h"

namespace moga {

// "decoder.upsamples.3.resample.1.weight" → "decoder.up_blocks.0.upsamplers.0.resample.1.weight". Throws on a name that
// is not the autoencoder's.
std::string diffusers_vae_name(const std::string& name, const VaeConfig& config);

// The layout of a file with these tensor names; throws, naming `source`, when it is neither.
WeightLayout detect_vae_layout(const std::vector<std::string>& names, const std::string& source);

}  // namespace moga
