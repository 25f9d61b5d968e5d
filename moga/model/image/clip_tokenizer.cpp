// See clip_tokenizer.h.
#include "moga/model/image/clip_tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/json_text.h"

namespace moga {
namespace {

constexpr std::string_view kStart = "<|startoftext|>", kEnd = "<|endoftext|>", kWordEnd = "</w>";
constexpr char32_t kUnreadable = 0xFFFD;  // in place of a byte that is not UTF-8

std::u32string characters_of(std::string_view text) {
  std::u32string result;
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t character = 0;
    const utf8proc_ssize_t read = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                                                   static_cast<utf8proc_ssize_t>(text.size() - at), &character);
    result += read > 0 ? static_cast<char32_t>(character) : kUnreadable;
    at += read > 0 ? static_cast<size_t>(read) : 1;
  }
  return result;
}

void append_utf8(std::string& text, char32_t character) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const utf8proc_ssize_t size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(character), bytes.data());
  text.append(bytes.begin(), bytes.begin() + size);
}

std::string utf8_of(std::u32string_view characters) {
  std::string text;
  for (const char32_t character : characters) append_utf8(text, character);
  return text;
}

std::u32string composed_part(std::u32string_view text) {
  const std::string utf8 = utf8_of(text);
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()), static_cast<utf8proc_ssize_t>(utf8.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  check(size >= 0, "CLIP's tokenizer: a text of ", utf8.size(), " bytes has no composed form: ", utf8proc_errmsg(size));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  return characters_of({reinterpret_cast<const char*>(mapped), static_cast<size_t>(size)});
}

// utf8proc up to 2.8 drops U+11A7, a letter that composes with nothing, so the text is composed between those.
std::u32string composed(std::u32string_view text) {
  constexpr char32_t kApart = 0x11A7;
  std::u32string result;
  size_t begin = 0;
  for (size_t end; (end = text.find(kApart, begin)) != text.npos; begin = end + 1)
    result += composed_part(text.substr(begin, end - begin)) + kApart;
  return result + composed_part(text.substr(begin));
}

// One character at a time: a final sigma is not told from others. U+0130 is the one letter with two in lower case.
std::u32string lower_case(const std::u32string& text) {
  std::u32string result;
  for (const char32_t c : text)
    if (c == 0x130)
      result += U"i\u0307";
    else
      result += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  return result;
}

enum class Kind { kSpace, kLetter, kNumber, kOther };

Kind kind_of(char32_t c) {
  constexpr std::array<char32_t, 9> kSpaces = {0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
  if ((c >= 0x09 && c <= 0x0D) || (c >= 0x2000 && c <= 0x200A) || std::ranges::find(kSpaces, c) != kSpaces.end())
    return Kind::kSpace;
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) return Kind::kLetter;
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) return Kind::kNumber;
  return Kind::kOther;
}

// Characters of an English contraction that begins here ('s, 't, 're, 've, 'm, 'll, 'd), 0 if none does.
size_t contraction(std::u32string_view text) {
  for (const std::u32string_view ending : {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"})
    if (text.starts_with(ending)) return ending.size();
  return 0;
}

// Characters of the first word of a text that does not begin with a space.
size_t word_size(std::u32string_view text) {
  if (const size_t size = contraction(text)) return size;
  const Kind kind = kind_of(text[0]);
  size_t size = 1;
  if (kind != Kind::kNumber)
    while (size < text.size() && kind_of(text[size]) == kind) ++size;
  return size;
}

// The character that stands for a byte in the vocabulary: printable bytes for themselves, others from U+0100 on.
std::array<std::string, 256> byte_characters() {
  std::array<std::string, 256> result;
  char32_t next = 0x100;
  for (size_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    append_utf8(result[byte], printable ? static_cast<char32_t>(byte) : next++);
  }
  return result;
}

}  // namespace

ClipTokenizer::ClipTokenizer(const std::filesystem::path& folder) {
  const std::string vocabulary = (folder / "vocab.json").string(), merges = (folder / "merges.txt").string();
  const nlohmann::json json = parse_json_object(read_text(vocabulary), vocabulary);
  for (const auto& item : json.items()) {
    const int64_t id = whole_number(json, item.key(), 0, vocabulary);
    ids_[item.key()] = id;
    largest_ = std::max(largest_, id);
  }
  for (const auto& [token, id] : {std::pair{kStart, &start_}, std::pair{kEnd, &end_}}) {
    const auto found = ids_.find(std::string(token));
    check(found != ids_.end(), vocabulary, ": no token ", token);
    *id = found->second;
  }
  const std::string text = read_text(merges);
  int64_t rank = 0;
  for (size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    check(space != std::string::npos && space > 0 && space + 1 < line.size() && line.find(' ', space + 1) == line.npos,
          merges, ": ", quoted(line), ", expected two pieces");
    ranks_.emplace(std::move(line), rank++);
  }
}

void ClipTokenizer::add_word(const std::string& bytes, std::vector<int64_t>& ids) const {
  static const std::array<std::string, 256> characters = byte_characters();
  std::vector<std::string> pieces;
  for (const char byte : bytes) pieces.push_back(characters[static_cast<unsigned char>(byte)]);
  pieces.back() += kWordEnd;
  while (pieces.size() > 1) {
    size_t best = pieces.size();
    int64_t best_rank = INT64_MAX;
    for (size_t i = 0; i + 1 < pieces.size(); ++i) {
      const auto found = ranks_.find(pieces[i] + " " + pieces[i + 1]);
      if (found != ranks_.end() && found->second < best_rank) best = i, best_rank = found->second;
    }
    if (best == pieces.size()) break;
    pieces[best] += pieces[best + 1];
    pieces.erase(pieces.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  for (const std::string& piece : pieces) {
    const auto found = ids_.find(piece);
    ids.push_back(found == ids_.end() ? end_ : found->second);  // the end token is also the unknown one
  }
}

void ClipTokenizer::add_words(const std::string& text, std::vector<int64_t>& ids) const {
  const std::u32string characters = lower_case(composed(characters_of(text)));
  std::u32string_view rest = characters;
  while (!rest.empty()) {
    size_t size = 1;
    if (kind_of(rest[0]) != Kind::kSpace) {
      size = word_size(rest);
      add_word(utf8_of(rest.substr(0, size)), ids);
    }
    rest.remove_prefix(size);
  }
}

std::vector<int64_t> ClipTokenizer::encode(const std::string& text) const {
  std::vector<int64_t> ids = {start_};
  size_t begin = 0;
  while (true) {  // the two special tokens may be spelled in the text
    const size_t start = text.find(kStart, begin), end = text.find(kEnd, begin), at = std::min(start, end);
    add_words(text.substr(begin, at == text.npos ? text.npos : at - begin), ids);
    if (at == text.npos) break;
    ids.push_back(start < end ? start_ : end_);
    begin = at + (start < end ? kStart : kEnd).size();
  }
  ids.push_back(end_);
  return ids;
}

}  // namespace moga
