// Forms (multipart/form-data, RFC 7578) as OpenAI's clients send them → the same request as JSON.
//
// The library's own reader recurses over a line as long as the body, so it never sees a form (request_head.h).
#pragma once

#include <string>

namespace moga {

// {"prompt": "…", "seconds": "4", …}: each field as a string, a picture as a data URL. `type`: the Content-Type, with
// the boundary. Throws ApiError.
std::string json_of_form(const std::string& type, const std::string& body);

}  // namespace moga
