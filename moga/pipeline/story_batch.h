// What the evaluation of a batch of stories gives, and the exchange of it where every rank evaluates batches of its
// own.
#pragma once

#include <vector>

#include "moga/data/story/measure.h"
#include "moga/parallel/process_group.h"

namespace moga {

struct StoryBatch {
  std::vector<std::vector<ColourReading>> readings;  // of each story
  std::vector<std::vector<at::Tensor>> pictures;  // rows of a contact sheet, uint8 [3, Y, X] on the CPU; may be empty
};

// The batches of all ranks in rank order, on every rank. Sizes may differ, and a rank may have none.
std::vector<StoryBatch> all_gather_batches(const ProcessGroup& ranks, const StoryBatch& own);

}  // namespace moga
