// clean_text: what the reference does to a caption before the tokenizer sees it, less ftfy's repair of decoding
// errors.
#include <algorithm>
#include <array>

#include "moga/model/tokenizer.h"
#include "moga/model/tokenizer_entities.h"

namespace moga {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// Bytes of the UTF-8 sequence that this byte begins, 0 when it begins none.
size_t sequence_length(unsigned char byte) {
  if (byte < 0x80) return 1;
  if (byte >= 0xC2 && byte <= 0xDF) return 2;
  if (byte >= 0xE0 && byte <= 0xEF) return 3;
  if (byte >= 0xF0 && byte <= 0xF4) return 4;
  return 0;
}

// Whether `byte` may follow `first` at once: excludes overlong forms, surrogates and numbers beyond Unicode.
bool may_follow(unsigned char first, unsigned char byte) {
  const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  return byte >= low && byte <= high;
}

// Each longest beginning of a sequence that cannot be continued becomes one U+FFFD.
std::u32string decode_utf8(const std::string& text) {
  std::u32string out;
  for (size_t at = 0; at < text.size();) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned char first = byte(0);
    const size_t length = sequence_length(first);
    char32_t character = length <= 1 ? first : first & (0x7F >> length);
    size_t read = 1;
    for (; read < length && at + read < text.size(); ++read) {
      if (!may_follow(read == 1 ? first : 0x80, byte(read))) break;
      character = (character << 6) | (byte(read) & 0x3F);
    }
    out += read == length ? character : kReplacement;
    at += read;
  }
  return out;
}

std::string encode_utf8(const std::u32string& text) {
  std::string out;
  const auto put = [&](char32_t value) { out += static_cast<char>(value); };
  for (const char32_t c : text) {
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | (c >> 6)), put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      put(0xE0 | (c >> 12)), put(0x80 | ((c >> 6) & 0x3F)), put(0x80 | (c & 0x3F));
    } else {
      put(0xF0 | (c >> 18)), put(0x80 | ((c >> 12) & 0x3F)), put(0x80 | ((c >> 6) & 0x3F)), put(0x80 | (c & 0x3F));
    }
  }
  return out;
}

// Controls without a meaning in text: C0 but for tab and line ends, deprecated formatting, annotations, byte
// order mark.
bool is_control(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

bool is_space(char32_t c) {
  constexpr std::array<char32_t, 9> kOthers = {0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F) || (c >= 0x2000 && c <= 0x200A) ||
         std::find(kOthers.begin(), kOthers.end(), c) != kOthers.end();
}

std::u32string fold_spaces(const std::u32string& text) {
  std::u32string out;
  bool gap = false;
  for (const char32_t c : text) {
    if (is_space(c)) {
      gap = !out.empty();
      continue;
    }
    if (gap) out += U' ';
    gap = false;
    out += c;
  }
  return out;
}

}  // namespace

std::string clean_text(const std::string& text) {
  std::u32string characters = decode_utf8(text);
  std::erase_if(characters, is_control);
  // Twice: texts escaped for the web are often escaped again on the way into a data set.
  return encode_utf8(fold_spaces(unescape_html(unescape_html(characters))));
}

}  // namespace moga
