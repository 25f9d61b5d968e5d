// Files that are either whole or absent: written beside their final name, synced, renamed.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace moga {

std::string read_text(const std::filesystem::path& path);

// Creates the folder and its parents where they are missing.
void make_folder(const std::filesystem::path& folder);

// Throws when a file of this name could not be written: a folder has the name, or no folder can be written to. For work
// that takes long before it writes.
void check_writable(const std::filesystem::path& path);

// Calls write(temporary) with a path in the same folder, then syncs and renames it to path. When write throws, the
// temporary is removed and the file that was at path stays as it was. Creates missing parent folders.
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const std::filesystem::path& temporary)>& write);
void write_text(const std::filesystem::path& path, std::string_view text);

}  // namespace moga
