// Finds tensors that are missing from a part of a model folder, have another shape than its config.json says, or are
// unused.
#pragma once

#include <filesystem>
#include <string>

#include "moga/core/module_io.h"
#include "moga/pipeline/model_part.h"

namespace moga {

// How the weights in `folder` of `part` fit its config.json, as the part's family reads them.
FileFit fit_of_part(const std::filesystem::path& folder, ModelPart part);

// `folder` of `part`. One line per kind of fault, each preceded by a line end, with
// the first tensor's name as it is or would be in the file; empty when load_models would accept the part. Reads headers
// only; throws when one cannot be read.
std::string describe_fit(const std::filesystem::path& folder, ModelPart part);

}  // namespace moga
