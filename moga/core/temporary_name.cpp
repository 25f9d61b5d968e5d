// See temporary_name.h. Long names are cut, so that the mark and the digits fit where the name itself does.
#include "moga/core/temporary_name.h"

#include <cstdio>
#include <random>

namespace moga {
namespace {

namespace fs = std::filesystem;

constexpr size_t kStemBytes = 100, kExtensionBytes = 16;
constexpr const char* kMark = ".partial-";
constexpr size_t kRandomDigits = 16;

std::string random_digits() {
  std::random_device source;
  char digits[kRandomDigits + 1];
  std::snprintf(digits, sizeof digits, "%08x%08x", static_cast<unsigned>(source()), static_cast<unsigned>(source()));
  return digits;
}

// At most `bytes` of a text, without half of a UTF-8 character at the end.
std::string beginning(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

std::string mark_of(const fs::path& target) { return "." + beginning(target.stem().string(), kStemBytes) + kMark; }

}  // namespace

fs::path temporary_of(const fs::path& target) {
  const std::string extension = target.extension().string();
  return target.parent_path() /
         (mark_of(target) + random_digits() + (extension.size() <= kExtensionBytes ? extension : ""));
}

bool is_temporary_of(const std::string& name, const fs::path& target) {
  const std::string mark = mark_of(target), extension = target.extension().string();
  if (!name.starts_with(mark) || !name.ends_with(extension)) return false;
  const std::string digits = name.substr(mark.size(), kRandomDigits);
  return digits.find_first_not_of("0123456789abcdef") == std::string::npos && digits.size() == kRandomDigits &&
         name.size() == mark.size() + kRandomDigits + extension.size();
}

}  // namespace moga
