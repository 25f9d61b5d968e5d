// The origin recorded in generated files, as MP4 metadata (title, comment, encoding tool) and PNG text (Title, Comment,
// Software). The comment of a generated video is its complete script, from which it can be generated again.
#pragma once

#include <string>

namespace moga {

struct MediaTags {
  std::string title;
  std::string comment;
  std::string tool;  // "moga 1.2.0"
};

}  // namespace moga
