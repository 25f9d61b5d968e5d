// The content of a shot's caption as numbers: place, light, kind of shot, and for each person name, looks, action and
// side. Persons are identified in two ways: by position in the caption (first, second) and by side. Training the text
// encoder uses these facts to teach and measure which words belong together ("a red hat and a blue shirt").
#pragma once

#include <string>
#include <vector>

#include "moga/data/story/story.h"

namespace moga {

struct FactKind {
  std::string name;  // "first hat colour", "left shirt colour", "place"
  int64_t classes = 0;
};
const std::vector<FactKind>& fact_kinds();

inline constexpr int64_t kNotTold = -1;

// One class per kind, in the order of fact_kinds(); kNotTold where the caption of this shot does not mention it.
std::vector<int64_t> told_facts(const Story& story, size_t shot);

}  // namespace moga
