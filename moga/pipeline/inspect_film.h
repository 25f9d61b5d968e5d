// Frames of a user's film for an inspection: at the rate and size of the script, cropped around the middle where the
// proportions differ. Needs FFmpeg.
#pragma once

#include "moga/data/script.h"
#include "moga/pipeline/denoise.h"

namespace moga {

// uint8 [T, 3, Y, X], T = the frames of the script's video, from the film's beginning. Throws when the film is shorter.
at::Tensor film_frames(const std::filesystem::path& film, const Script& script, const Strides& pixels_per_token);

}  // namespace moga
