// A file is written whole or not at all.
#include "moga/core/files.h"

#include <gtest/gtest.h>

#include <fstream>

#include "moga/core/check.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

int64_t file_count(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST(Files, TextRoundTripsThroughNewFolders) {
  const test::Folder folder;
  const std::string text("a\0b\r\n", 5);
  write_text(folder / "new/folders/text.txt", text);
  EXPECT_EQ(read_text(folder / "new/folders/text.txt"), text);
}

TEST(Files, AFailedWriteLeavesTheOldFileAndNothingElse) {
  const test::Folder folder;
  write_text(folder / "model.bin", "old");
  const auto fails = [](const fs::path& temporary) {
    std::ofstream(temporary) << "half";
    throw std::runtime_error("disk full");
  };
  EXPECT_THROW(write_atomically(folder / "model.bin", fails), std::runtime_error);
  EXPECT_EQ(read_text(folder / "model.bin"), "old");
  EXPECT_EQ(file_count(folder.path()), 1);
}

TEST(Files, TheTemporaryKeepsFolderAndExtension) {
  const test::Folder folder;
  write_atomically(folder / "clip.mp4", [&](const fs::path& temporary) {
    EXPECT_EQ(temporary.extension(), ".mp4");
    EXPECT_EQ(temporary.parent_path(), folder.path());
    std::ofstream(temporary) << "new";
  });
  EXPECT_EQ(read_text(folder / "clip.mp4"), "new");
}

TEST(Files, ASymbolicLinkStaysALink) {
  const test::Folder folder;
  write_text(folder / "target.txt", "old");
  fs::create_symlink("target.txt", folder / "link.txt");
  write_text(folder / "link.txt", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link.txt"));
  EXPECT_EQ(read_text(folder / "target.txt"), "new");
}

TEST(Files, WhatCannotBeWrittenIsKnownBefore) {
  const test::Folder folder;
  check_writable(folder / "file");
  check_writable(folder.path() / "new" / "folders" / "file");
  EXPECT_FALSE(fs::exists(folder / "new"));
  write_text(folder / "file", "text");
  EXPECT_THROW(check_writable(folder.path()), Error);
  EXPECT_THROW(check_writable(folder.path() / "file" / "other"), Error);
  EXPECT_THROW(check_writable("/dev/null/folder/file"), Error);
}

TEST(Files, WhatIsNotAFileIsRefusedByName) {
  const test::Folder folder;
  EXPECT_THROW(read_text(folder / "missing"), Error);
  EXPECT_THROW(read_text(folder.path()), Error);
  EXPECT_THROW(write_text(folder.path(), "text"), Error);
  EXPECT_THROW(make_folder("/dev/null/folder"), Error);
  EXPECT_THROW(write_atomically(folder / "unwritten", [](const fs::path&) {}), Error);
}

}  // namespace
}  // namespace moga
