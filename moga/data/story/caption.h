// The words of a story: a caption for each shot.
#pragma once

#include "moga/data/story/story.h"

namespace moga {

// Writes the captions of all shots.
void tell(Story& story);

const char* hat_name(HatKind kind);

}  // namespace moga
