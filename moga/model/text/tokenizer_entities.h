// HTML entities in captions scraped from the web: "&amp;", "&eacute;", "&#8217;". Private to clean_text.
#pragma once

#include <string>

namespace moga {

inline constexpr char32_t kReplacement = 0xFFFD;  // stands for what is no character

// One pass, as HTML 5 prescribes and Python's html.unescape does: numbers with their legacy meanings, names with a
// semicolon, and those of Latin-1 also without. Of HTML 5's 2,231 names the 252 of HTML 4 are known.
std::u32string unescape_html(const std::u32string& text);
// Only escapes that a semicolon ends: what ftfy takes for damage.
std::u32string unescape_finished_html(const std::u32string& text);

// 0x80 to 0x9F as Windows-1252 has them, which is what text with such numbers had in mind; others as they are.
char32_t from_windows_1252(char32_t character);

}  // namespace moga
