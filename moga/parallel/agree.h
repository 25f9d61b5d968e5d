// Checks at the start that all ranks have the same config, version, data and weights, before any of them trains.
#pragma once

#include <vector>

#include "moga/parallel/process_group.h"

namespace moga {

struct Claim {
  std::string what;   // "config", "version", "data", "weights"
  std::string value;  // the text itself, or a digest of something long
};

// Returns when all ranks pass the same claims. Otherwise rank 0 throws an Error and the others throw PeerFailure. The
// error is one line with what differs, the rank, its host and both values (their first differing line).
void agree(const ProcessGroup& group, const std::vector<Claim>& claims);

}  // namespace moga
