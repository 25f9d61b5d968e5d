// HTML entities in captions scraped from the web: "&amp;", "&eacute;", "&#8217;". Private to clean_text.
#pragma once

#include <string>

namespace moga {

inline constexpr char32_t kReplacement = 0xFFFD;  // replaces invalid characters

// One pass, as HTML 5 prescribes and Python's html.unescape does: numbers with their legacy meanings, names with a
// semicolon, and those of Latin-1 also without. Of HTML 5's 2,231 names the 252 of HTML 4 are known.
std::u32string unescape_html(const std::u32string& text);
// Only escapes that end with a semicolon, which ftfy treats as damage.
std::u32string unescape_finished_html(const std::u32string& text);

// Maps 0x80 to 0x9F to Windows-1252, which texts with such numbers mean; others are unchanged.
char32_t from_windows_1252(char32_t character);

}  // namespace moga
