// Ranks that disagree about config, version, data or weights are found at the start, before they train apart.
#pragma once

#include <vector>

#include "moga/parallel/process_group.h"

namespace moga {

struct Claim {
  std::string what;   // "config", "version", "data", "weights"
  std::string value;  // the text itself, or a digest of something long
};

// Returns when all ranks hold the same claims. Otherwise rank 0 throws an Error, one line that names what differs, the
// rank, its host and both values (the first line that differs), and the others throw PeerFailure.
void agree(const ProcessGroup& group, const std::vector<Claim>& claims);

}  // namespace moga
