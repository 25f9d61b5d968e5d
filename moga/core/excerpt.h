// Texts of unknown length in messages: a setting of thousands of characters does not fill the screen.
#pragma once

#include <string>

namespace moga {

// The first `most` bytes and "...", or the whole text where it is not longer. No character of UTF-8 is halved.
std::string excerpt(const std::string& text, size_t most = 80);

// A message in which every word beyond 512 bytes is an excerpt.
std::string with_short_words(const std::string& message);

}  // namespace moga
