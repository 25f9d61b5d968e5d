// The text of report_page.html, which CMake puts into the library.
#pragma once

namespace moga {

extern const char* const kReportPage;

}  // namespace moga
