// Names of files and folders that are not complete yet: "runs/.model.partial-0123456789abcdef.mp4" for
// "runs/model.mp4". Private to the folder.
#pragma once

#include <filesystem>
#include <string>

namespace moga {

// A new name next to `target`, at random. The extension stays last, because writers of video and images choose their
// format by it.
std::filesystem::path temporary_of(const std::filesystem::path& target);

// Whether temporary_of(target) may have given this file name.
bool is_temporary_of(const std::string& name, const std::filesystem::path& target);

}  // namespace moga
