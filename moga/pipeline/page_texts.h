// The texts of inspect_page.html and plot_page.html, which CMake puts into the library.
#pragma once

namespace moga {

extern const char* const kInspectPage;
extern const char* const kPlotPage;

}  // namespace moga
