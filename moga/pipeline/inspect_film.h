// Frames of a user's film for an inspection: at the rate and size of the script, cropped around the middle where the
// proportions differ. Needs FFmpeg.
#pragma once

#include "moga/data/script.h"
#include "moga/pipeline/denoise.h"

namespace moga {

// A script of one shot without a caption, over as much of the film as `most_frames` pixel frames allow.
Script film_script(const std::filesystem::path& film, PixelSize size, int64_t most_frames,
                   const Strides& pixels_per_token);

// uint8 [T, 3, Y, X], T = the frames of the script's video, from the film's beginning. Throws when the film is shorter.
at::Tensor film_frames(const std::filesystem::path& film, const Script& script, const Strides& pixels_per_token);

}  // namespace moga
