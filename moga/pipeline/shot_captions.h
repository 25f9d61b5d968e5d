// The captions of a script as a model reads them. Text beyond the model's text_len is never cut in silence, and never a
// shot's own text for the sake of the global caption.
#pragma once

#include <string>
#include <vector>

#include "moga/data/script.h"
#include "moga/pipeline/models.h"

namespace moga {

// One caption per shot, the global caption in front of it as far as there is room. Logs one line for each shot whose
// text does not fit, and one for the negative prompt.
std::vector<std::string> shot_captions(const Script& script, const Models& models);

}  // namespace moga
