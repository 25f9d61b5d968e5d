// The text of page.html, which CMake puts into the library.
#pragma once

namespace moga {

extern const char* const kServePage;

}  // namespace moga
