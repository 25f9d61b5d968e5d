// See mutate.h.
#include "tests/fuzz/mutate.h"

#include <array>
#include <cctype>
#include <cstring>

namespace moga::test {
namespace {

constexpr std::array kNumbers = {"0",
                                 "-1",
                                 "1",
                                 "2",
                                 "3",
                                 "2147483648",
                                 "9223372036854775807",
                                 "1e18",
                                 "1e308",
                                 "1e9999",
                                 "0.5",
                                 "2.0",
                                 "16777216",
                                 "18446744073709551616",
                                 "-0",
                                 "1e-30",
                                 "65536",
                                 "4294967296",
                                 "1000000000000"};
constexpr std::array kWords = {"null", "true", "false", "\"\"", "[]", "{}", "nan", "inf", "\"5\"", "[1, 2]", "x"};
constexpr std::array<uint32_t, 10> kBinary = {0, 1, 2, 0x7f, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100};

struct Span {
  size_t begin = 0, length = 0;
};

Span span(const std::string& text, Random& random, size_t longest) {
  const size_t begin = below(random, text.size());
  return {begin, std::min(1 + below(random, longest), text.size() - begin)};
}

void change_bytes(std::string& bytes, Random& random) {
  const Span at = span(bytes, random, 24);
  switch (below(random, 8)) {
    case 0:
      bytes[at.begin] = static_cast<char>(bytes[at.begin] ^ (1 << below(random, 8)));
      break;
    case 1:
      bytes[at.begin] = static_cast<char>(random());
      break;
    case 2:
      bytes.erase(at.begin, at.length);
      break;
    case 3:
      bytes.insert(at.begin, bytes.substr(at.begin, at.length));
      break;
    case 4:
      bytes.insert(at.begin, std::string(at.length, static_cast<char>(random())));
      break;
    case 5:
      if (below(random, 4) == 0) bytes.resize(at.begin);
      break;
    default: {
      uint32_t number = kBinary[below(random, kBinary.size())];
      if (below(random, 2) == 0) number = __builtin_bswap32(number);  // MP4 is big-endian
      const size_t length = std::min(sizeof number, bytes.size() - at.begin);
      std::memcpy(bytes.data() + at.begin, &number, length);
    }
  }
}

bool in_word(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) || std::strchr("_.+-\"", letter) != nullptr;
}

// A word or number of the text around or after a random place.
Span word(const std::string& text, Random& random) {
  size_t begin = below(random, text.size());
  while (begin < text.size() && !in_word(text[begin])) ++begin;
  while (begin > 0 && in_word(text[begin - 1])) --begin;
  size_t end = begin;
  while (end < text.size() && in_word(text[end])) ++end;
  return {begin, end - begin};
}

// The word after a random ':' or '=': mostly a value.
Span value(const std::string& text, Random& random) {
  const size_t at = text.find_first_of(":=", below(random, text.size()));
  size_t begin = text.find_first_not_of(" \n", at == std::string::npos ? text.size() : at + 1);
  begin = std::min(begin, text.size());
  size_t end = begin;
  while (end < text.size() && in_word(text[end])) ++end;
  return {begin, end - begin};
}

Span line(const std::string& text, Random& random) {
  const size_t at = below(random, text.size());
  const size_t before = text.rfind('\n', at), after = text.find('\n', at);
  const size_t begin = before == std::string::npos || before == at ? at : before + 1;
  return {begin, (after == std::string::npos ? text.size() : after + 1) - begin};
}

void change_words(std::string& text, Random& random) {
  const bool of_value = below(random, 2) == 0;
  const Span at = of_value ? value(text, random) : word(text, random);
  const Span other = of_value ? value(text, random) : word(text, random);
  switch (below(random, 4)) {
    case 0:
      text.replace(at.begin, at.length, kWords[below(random, kWords.size())]);
      break;
    case 1:
      text.replace(at.begin, at.length, text.substr(other.begin, other.length));
      break;
    default:
      text.replace(at.begin, at.length, kNumbers[below(random, kNumbers.size())]);
  }
}

void change_lines(std::string& text, Random& random) {
  const Span at = line(text, random);
  if (below(random, 2) == 0)
    text.erase(at.begin, at.length);
  else
    text.insert(at.begin, text.substr(at.begin, at.length));
}

}  // namespace

std::string mutate_bytes(std::string bytes, Random& random) {
  const size_t changes = 1 + below(random, 4);
  for (size_t i = 0; i < changes && !bytes.empty(); ++i) change_bytes(bytes, random);
  return bytes;
}

std::string mutate_text(std::string text, Random& random) {
  const size_t changes = below(random, 2) == 0 ? 1 : 1 + below(random, 4);
  for (size_t i = 0; i < changes && !text.empty(); ++i) {
    const size_t kind = below(random, 8);
    kind < 6 ? change_words(text, random) : kind < 7 ? change_lines(text, random) : change_bytes(text, random);
  }
  return text;
}

}  // namespace moga::test
