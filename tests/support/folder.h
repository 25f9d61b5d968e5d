// A new temporary folder for one test, removed at the end of the test.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace moga::test {

class Folder {
 public:
  Folder() {
    // A name of its own: processes that tests kill leave their folders behind, and numbers of processes come again.
    std::string name = (std::filesystem::temp_directory_path() / "moga-test-XXXXXX").string();
    if (!mkdtemp(name.data()))
      throw std::filesystem::filesystem_error("mkdtemp", name, {errno, std::generic_category()});
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace moga::test
