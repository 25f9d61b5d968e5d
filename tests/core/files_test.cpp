// A file is written whole or not at all, under any name it may have; only files are read as files.
#include "moga/core/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

int64_t file_count(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

template <class Action>
void expect_error(const Action& action, const std::string& expected) {
  const std::string error = test::error_of(action);
  EXPECT_NE(error.find(expected), std::string::npos) << error;
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
    fail("disk full");
  };
  EXPECT_EQ(test::error_of([&] { write_atomically(folder / "model.bin", fails); }), "disk full");
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

TEST(Files, TwoWritersOfOneNameDoNotMeet) {
  const test::Folder folder;
  PendingFile first(folder / "film.mp4"), second(folder / "film.mp4");
  EXPECT_NE(first.temporary(), second.temporary());
  std::ofstream(first.temporary()) << "first";
  std::ofstream(second.temporary()) << "second";
  first.commit();
  second.commit();
  EXPECT_EQ(read_text(folder / "film.mp4"), "second");
  EXPECT_EQ(file_count(folder.path()), 1);
}

TEST(Files, ALinkAtAGuessedTemporaryNameIsNotFollowed) {
  const test::Folder folder;
  write_text(folder / "secret", "kept");
  fs::create_symlink("secret", folder / "film.mp4.partial");
  write_text(folder / "film.mp4", "new");
  EXPECT_EQ(read_text(folder / "secret"), "kept");
}

TEST(Files, ASymbolicLinkStaysALink) {
  const test::Folder folder;
  write_text(folder / "target.txt", "old");
  fs::create_symlink("target.txt", folder / "link.txt");
  fs::create_symlink("missing.txt", folder / "dangling.txt");
  for (const char* link : {"link.txt", "dangling.txt"}) {
    write_text(folder / link, "new");
    EXPECT_TRUE(fs::is_symlink(folder / link));
  }
  EXPECT_EQ(read_text(folder / "target.txt"), "new");
  EXPECT_EQ(read_text(folder / "missing.txt"), "new");
}

TEST(Files, ALongNameCanBeWritten) {
  const test::Folder folder;
  std::string name(240, 'n');
  name += ".txt";
  write_text(folder / name, "text");
  EXPECT_EQ(read_text(folder / name), "text");
}

TEST(Files, WhatCannotBeWrittenIsKnownBefore) {
  const test::Folder folder;
  check_writable(folder / "file");
  check_writable(folder.path() / "new" / "folders" / "file");
  EXPECT_FALSE(fs::exists(folder / "new"));
  write_text(folder / "file", "text");
  expect_error([&] { check_writable(folder.path()); }, folder.path().string() + ": is a folder, expected a file name");
  const std::string file = (folder / "file").string();
  expect_error([&] { check_writable(file + "/other"); },
               file + "/other: cannot be written: " + file + " is not a folder");
  expect_error([&] { check_writable("/dev/null/folder/file"); },
               "/dev/null/folder/file: cannot be written: /dev/null is not a folder");
  expect_error([&] { check_writable(folder / std::string(256, 'n')); }, "the name has 256 bytes");
  expect_error([&] { check_new_folder(folder.path()); }, "exists already");
}

TEST(Files, WhatIsNotAFileIsRefusedByName) {
  const test::Folder folder;
  mkfifo((folder / "pipe").c_str(), 0600);
  expect_error([&] { read_text(folder / "pipe"); }, "is a pipe, expected a file");
  expect_error([&] { read_text("/dev/zero"); }, "is a device, expected a file");
  expect_error([&] { read_text(folder / "missing"); }, "No such file");
  expect_error([&] { read_text(folder.path()); }, "is a folder, expected a file");
  expect_error([&] { write_text(folder.path(), "text"); }, "is a folder, expected a file name");
  expect_error([&] { make_folder("/dev/null/folder"); },
               "/dev/null/folder: cannot create this folder: Not a directory");
  write_text(folder / "long", "12345");
  expect_error([&] { read_text(folder / "long", 4); }, "has 5 bytes, expected at most 4");
}

TEST(Files, AFileBeyondTheLimitIsAnErrorAndRemoved) {
  const test::Folder folder;
  catch_interrupts();
  struct rlimit before {};
  getrlimit(RLIMIT_FSIZE, &before);
  const struct rlimit small { 1000, before.rlim_max };
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string error = test::error_of([&] { write_text(folder / "file", std::string(5000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(error, (folder / "file").string() + ": cannot be written: File too large");
  EXPECT_EQ(file_count(folder.path()), 0);
}

}  // namespace
}  // namespace moga
