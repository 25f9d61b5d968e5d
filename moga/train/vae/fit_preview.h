// Fits the linear decoder of previews (model/preview_decoder.h) to a codec, on clips that its encoder encodes: of
// films, or of drawn stories.
#pragma once

#include <filesystem>
#include <vector>

#include "moga/model/codec.h"
#include "moga/model/preview_decoder.h"

namespace moga {

struct PreviewFitOptions {
  std::vector<std::filesystem::path> films = {};  // a clip from the middle of each; empty: drawn stories
  int64_t clips = 24;                             // of stories
  int64_t frames = 17;                            // pixel frames per clip, at most
  int64_t width = 224;                            // of a clip, rounded to what the codec takes; films keep proportions
};

PreviewDecoder fit_preview(Codec& codec, const PreviewFitOptions& options);

}  // namespace moga
