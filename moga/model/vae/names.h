// The autoencoder's parameter names: Wan2.1's, which the modules use, and diffusers' (AutoencoderKLWan). Only the names
// differ. In the decoder, Wan2.1 numbers the layers consecutively, diffusers by level. Wan2.2 numbers both.
#pragma once

#include <string>
#include <vector>

#include "moga/model/layers/weight_layout.h"
#include "moga/model/vae/vae.h"

namespace moga {

// "decoder.upsamples.3.resample.1.weight" → "decoder.up_blocks.0.upsamplers.0.resample.1.weight". Throws on a name that
// is not the autoencoder's.
std::string diffusers_vae_name(const std::string& name, const VaeConfig& config);

// The layout of a file with these tensor names. Throws an error that names `source` if it is neither.
WeightLayout detect_vae_layout(const std::vector<std::string>& names, const std::string& source);

}  // namespace moga
