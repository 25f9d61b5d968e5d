// What the caption of a shot tells, as numbers: place, light, kind of shot, and of each person name, looks, action and
// side. A person is found in two ways: by place in the caption (first, second) and by side. What a text encoder must be
// able to keep apart ("a red hat and a blue shirt") is measured and taught with these (train/text_trainer.h).
#pragma once

#include <string>
#include <vector>

#include "moga/data/story/story.h"

namespace moga {

struct FactKind {
  std::string name;     // "first hat colour", "left shirt colour", "place"
  int64_t classes = 0;
};
const std::vector<FactKind>& fact_kinds();

inline constexpr int64_t kNotTold = -1;

// One class a kind, in the order of fact_kinds(); kNotTold where the caption of this shot does not say.
std::vector<int64_t> told_facts(const Story& story, size_t shot);

}  // namespace moga
