// HTML entities in captions scraped from the web: "&amp;", "&eacute;", "&#8217;". Private to clean_text.
#pragma once

#include <string>

namespace moga {

// One pass, as HTML 5 prescribes and Python's html.unescape does: numbers with their legacy meanings, names with a
// semicolon, and those of Latin-1 also without. Of HTML 5's 2,231 names the 252 of HTML 4 are known.
std::u32string unescape_html(const std::u32string& text);

}  // namespace moga
