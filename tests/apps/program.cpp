// See program.h.
#include "tests/apps/program.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "moga/core/files.h"
#include "tests/support/tiny_model.h"

namespace moga::test {

Result moga(const std::string& arguments, const std::string& before) {
  Result result{0, ""};
  FILE* pipe = popen((before + " '" MOGA_PROGRAM "' " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer;
  while (const size_t size = fread(buffer.data(), 1, buffer.size(), pipe)) result.text.append(buffer.data(), size);
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

void expect_error(const std::string& arguments, const std::string& expected) {
  const Result result = moga(arguments);
  EXPECT_EQ(result.status, 1) << result.text;
  EXPECT_NE(result.text.find(expected), std::string::npos) << result.text;
  EXPECT_EQ(result.text.find("moga: "), 0u) << result.text;
  EXPECT_EQ(std::count(result.text.begin(), result.text.end(), '\n'), 1) << result.text;
}

Folder* Program::folder_ = nullptr;

void Program::SetUpTestSuite() {
  folder_ = new Folder;
  write_tiny_model(*folder_ / "model");
  write_text(*folder_ / "film.toml",
             "title = \"T\"\nsize = [48, 32]\n[[shot]]\ncaption = \"Mara waves.\"\nframes = 9\n"
             "[[shot]]\ncaption = \"Mara walks.\"\nduration = 0.5\n");
}

}  // namespace moga::test
