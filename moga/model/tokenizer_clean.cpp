// clean_text: what the reference does to a caption before the tokenizer sees it: ftfy, then HTML entities twice, then
// white space. Of ftfy, the repair of wrongly decoded text and Unicode's composed forms (NFC) are not done.
#include <algorithm>
#include <array>
#include <string_view>

#include "moga/model/tokenizer.h"
#include "moga/model/tokenizer_entities.h"

namespace moga {
namespace {

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

struct Ligature {
  char32_t character;
  std::u32string_view letters;
};
constexpr std::array kLigatures = std::to_array<Ligature>({{0x132, U"IJ"},
                                                           {0x133, U"ij"},
                                                           {0x149, U"'n"},
                                                           {0x1C4, U"D\u017D"},
                                                           {0x1C5, U"D\u017E"},
                                                           {0x1C6, U"d\u017E"},
                                                           {0x1C7, U"LJ"},
                                                           {0x1C8, U"Lj"},
                                                           {0x1C9, U"lj"},
                                                           {0x1CA, U"NJ"},
                                                           {0x1CB, U"Nj"},
                                                           {0x1CC, U"nj"},
                                                           {0x1F1, U"DZ"},
                                                           {0x1F2, U"Dz"},
                                                           {0x1F3, U"dz"},
                                                           {0xFB00, U"ff"},
                                                           {0xFB01, U"fi"},
                                                           {0xFB02, U"fl"},
                                                           {0xFB03, U"ffi"},
                                                           {0xFB04, U"ffl"},
                                                           {0xFB05, U"\u017Ft"},
                                                           {0xFB06, U"st"}});

// Typographic variants as keyboards have them, and C1 controls as what they were: straight quotes, ligatures as
// letters, full-width forms of ASCII.
std::u32string plain_forms(const std::u32string& text) {
  std::u32string out;
  for (const char32_t original : text) {
    const char32_t c = from_windows_1252(original);
    const auto ligature = std::ranges::find(kLigatures, c, &Ligature::character);
    if (ligature != kLigatures.end())
      out += ligature->letters;
    else if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B))
      out += U'\'';
    else if (c >= 0x201C && c <= 0x201F)
      out += U'"';
    else
      out += c >= 0xFF01 && c <= 0xFF5E ? c - 0xFF01 + U'!' : c;
  }
  return out;
}

// ftfy takes entities for damage only where no tag shows that the text is HTML; then it undoes all layers of escapes.
std::u32string fix_text(std::u32string text) {
  if (text.find(U'<') == std::u32string::npos)
    for (std::u32string before; before != text;) {
      before = text;
      text = unescape_html(before);
    }
  std::u32string fixed = plain_forms(text);
  std::erase_if(fixed, is_control);
  return fixed;
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
  const std::u32string characters = fix_text(decode_utf8(text));
  // Twice: texts escaped for the web are often escaped again on the way into a data set.
  return encode_utf8(fold_spaces(unescape_html(unescape_html(characters))));
}

}  // namespace moga
