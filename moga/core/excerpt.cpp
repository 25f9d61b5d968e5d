// See excerpt.h.
#include "moga/core/excerpt.h"

#include <algorithm>

namespace moga {
namespace {

constexpr size_t kLongestWord = 512;

}  // namespace

std::string excerpt(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string with_short_words(const std::string& message) {
  std::string result;
  for (size_t begin = 0; begin < message.size();) {
    const size_t end = std::min(message.find(' ', begin), message.size());
    const std::string word = message.substr(begin, end - begin);
    result += word.size() > kLongestWord ? excerpt(word) : word;
    if (end < message.size()) result += ' ';
    begin = end + 1;
  }
  return result;
}

}  // namespace moga
