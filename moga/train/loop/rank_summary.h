// Step time and memory of every rank in a log line, and which rank is the slowest.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "moga/parallel/process_group.h"
#include "moga/parallel/wait_time.h"

namespace moga {

// {"own_seconds": [of each rank], "waited_seconds": […], "peak_bytes": […], "slowest": rank, "slowest_host": name} of
// one train step; the same on every rank, which all call it. Own seconds are those that a rank did not wait for others.
nlohmann::json summarise_ranks(const ProcessGroup& ranks, const StepTime& step, int64_t peak_bytes);

// "slowest rank 3 on node7: 1.92 s of its own in a step, 4 % above the mean; peak memory 31.2 to 33.0 GiB"
std::string text_of_ranks(const nlohmann::json& summary);

}  // namespace moga
