// A digest of tensors by which ranks find out whether they hold the same bits: for each tensor the sum of its elements,
// read as integers. Exact, whatever the order of the additions and the kind of device. It is made to find ranks that
// started from different weights, and is no protection against intent.
#pragma once

#include <string>

#include "moga/train/loop/parameters.h"

namespace moga {

// A line per tensor, "NAME SUM". Elements of 1, 2, 4 or 8 bytes.
std::string digest_lines(const NamedTensors& named);

}  // namespace moga
