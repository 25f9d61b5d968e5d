// The text of inspect_page.html, which CMake puts into the library.
#pragma once

namespace moga {

extern const char* const kInspectPage;

}  // namespace moga
