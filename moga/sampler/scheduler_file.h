// scheduler_config.json → SamplerConfig: diffusers' UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler, and our
// own keys, which a folder written by this program has next to diffusers'.
//
// A file written by diffusers is read as diffusers reads it, with its defaults: shift 1 where there is none, an error
// where the default is no rectified flow (prediction_type, use_flow_sigmas). A key whose schedule or solver is not ours
// is an error that names it, for either class, since a run may choose the other solver.
#pragma once

#include <filesystem>

#include "moga/sampler/solver.h"

namespace moga {

// whole_timesteps is true for diffusers' files, as its UniPC rounds the model's timesteps, unless the file says
// otherwise.
SamplerConfig load_sampler_config(const std::filesystem::path& path);

}  // namespace moga
