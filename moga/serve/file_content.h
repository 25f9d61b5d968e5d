// A file as the body of a response, in pieces, with the range that the client asks for.
#pragma once

#include <httplib.h>

#include <filesystem>

namespace moga {

// Throws ApiError when the file is not there (404) or the range is beyond its end (416). A file that is removed while
// it is sent is sent to its end.
void send_file(const std::filesystem::path& path, const char* type, const httplib::Request& request,
               httplib::Response& response);

}  // namespace moga
