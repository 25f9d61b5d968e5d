// clean_text: the reference's cleaning of a caption before tokenization: ftfy, then HTML entities twice, then white
// space. Of ftfy, repairing wrongly decoded text and removing terminal escapes are not implemented.
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "moga/core/check.h"
#include "moga/model/text/tokenizer.h"
#include "moga/model/text/tokenizer_entities.h"

namespace moga {
namespace {

// Length of the UTF-8 sequence that starts with this byte, 0 if none does.
size_t sequence_length(unsigned char byte) {
  if (byte < 0x80) return 1;
  if (byte >= 0xC2 && byte <= 0xDF) return 2;
  if (byte >= 0xE0 && byte <= 0xEF) return 3;
  if (byte >= 0xF0 && byte <= 0xF4) return 4;
  return 0;
}

// Whether `byte` may be the second byte after `first`; excludes overlong forms, surrogates and values beyond Unicode.
bool may_follow(unsigned char first, unsigned char byte) {
  const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  return byte >= low && byte <= high;
}

// Each maximal prefix of an invalid sequence becomes one U+FFFD.
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

// Control characters without a meaning in text: C0 except tab and line breaks, deprecated formatting, annotations, the
// byte order mark.
bool is_control(char32_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || (c >= 0x206A && c <= 0x206F) ||
         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

struct Ligature {
  char32_t character;
  std::u32string_view letters;
};
constexpr std::array kLigatures = std::to_array<Ligature>(
    {{0x132, U"IJ"},       {0x133, U"ij"},  {0x149, U"'n"},  {0x1C4, U"D\u017D"}, {0x1C5, U"D\u017E"},
     {0x1C6, U"d\u017E"},  {0x1C7, U"LJ"},  {0x1C8, U"Lj"},  {0x1C9, U"lj"},      {0x1CA, U"NJ"},
     {0x1CB, U"Nj"},       {0x1CC, U"nj"},  {0x1F1, U"DZ"},  {0x1F2, U"Dz"},      {0x1F3, U"dz"},
     {0xFB00, U"ff"},      {0xFB01, U"fi"}, {0xFB02, U"fl"}, {0xFB03, U"ffi"},    {0xFB04, U"ffl"},
     {0xFB05, U"\u017Ft"}, {0xFB06, U"st"}});

// Unicode's composed form (NFC): "e" and U+0301 become "\u00E9", Hangul letters become syllables. With UTF8PROC_COMPAT
// in `more`, forms that differ only in appearance also become the plain ones (NFKC).
std::u32string compose_piece(const std::u32string& text, int more) {
  const std::string utf8 = encode_utf8(text);
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()), static_cast<utf8proc_ssize_t>(utf8.size()),
                   &composed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | more));
  check(size >= 0, "a text of ", utf8.size(),
        " bytes cannot be brought to Unicode's composed form: ", utf8proc_errmsg(size));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
  return decode_utf8({reinterpret_cast<const char*>(composed), static_cast<size_t>(size)});
}

// utf8proc up to 2.8 treats U+11A7, a letter that composes with nothing, as the empty end of a syllable and drops it.
std::u32string compose(const std::u32string& text) {
  constexpr char32_t kApart = 0x11A7;
  std::u32string out;
  size_t begin = 0;
  for (size_t end; (end = text.find(kApart, begin)) != std::u32string::npos; begin = end + 1)
    out += compose_piece(text.substr(begin, end - begin), 0) + kApart;
  return out + compose_piece(text.substr(begin), 0);
}

// Replaces typographic variants by keyboard characters (straight quotes, letters for ligatures, full-width and
// half-width forms), and C1 controls by the characters they stood for.
std::u32string plain_forms(const std::u32string& text) {
  std::u32string out;
  for (const char32_t original : text) {
    const char32_t c = from_windows_1252(original);
    const auto ligature = std::ranges::find(kLigatures, c, &Ligature::character);
    if (ligature != kLigatures.end())
      out += ligature->letters;
    else if (c >= 0xFF01 && c <= 0xFFEF)
      out += compose_piece({c}, UTF8PROC_COMPAT);
    else if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B))
      out += U'\'';
    else if (c >= 0x201C && c <= 0x201F)
      out += U'"';
    else
      out += c;
  }
  return out;
}

// Repeats until nothing changes, because a replaced form may be part of the next escape ("\uFF06amp;"), and so may a
// composed one (U+037E is ";").
std::u32string fix_line(std::u32string line, bool unescape) {
  for (std::u32string before; before != line;) {
    before = line;
    line = plain_forms(unescape ? unescape_finished_html(line) : line);
    std::erase_if(line, is_control);
    line = compose(line);
  }
  return line;
}

// ftfy treats entities as damage only if no tag in this or an earlier line shows that the text is HTML.
std::u32string fix_text(const std::u32string& text) {
  std::u32string fixed;
  bool unescape = true;
  for (size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    end = std::min(text.find(U'\n', begin), text.size() - 1) + 1;
    const std::u32string line = text.substr(begin, end - begin);
    unescape = unescape && line.find(U'<') == std::u32string::npos;
    fixed += fix_line(line, unescape);
  }
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
