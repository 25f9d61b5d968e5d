// A folder is written whole or not at all, and nothing is removed that a writer did not create.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

int64_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

void write_model(const fs::path& path, Existing existing, const std::string& text) {
  write_folder_atomically(path, existing,
                          [&](const fs::path& temporary) { write_text(temporary / "vae" / "config.json", text); });
}

TEST(Folders, AppearWholeUnderTheirName) {
  const test::Folder folder;
  write_model(folder / "model/", Existing::kRefuse, "new");
  EXPECT_EQ(read_text(folder / "model/vae/config.json"), "new");
  EXPECT_EQ(entries(folder.path()), 1);
  EXPECT_THROW(write_model(folder / "model", Existing::kRefuse, "other"), Error);
  EXPECT_EQ(read_text(folder / "model/vae/config.json"), "new");
}

TEST(Folders, AnExistingOneIsReplacedWhole) {
  const test::Folder folder;
  write_text(folder / "model" / "old.txt", "old");
  write_model(folder / "model", Existing::kReplace, "new");
  EXPECT_FALSE(fs::exists(folder / "model/old.txt"));
  EXPECT_EQ(read_text(folder / "model/vae/config.json"), "new");
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(Folders, AFailedWriteLeavesTheOldFolderAndNothingElse) {
  const test::Folder folder;
  write_text(folder / "model" / "old.txt", "old");
  const auto fails = [](const fs::path& temporary) {
    write_text(temporary / "half", "half");
    throw std::runtime_error("disk full");
  };
  EXPECT_THROW(write_folder_atomically(folder / "model", Existing::kReplace, fails), std::runtime_error);
  EXPECT_EQ(read_text(folder / "model/old.txt"), "old");
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(Folders, NotesNextToTheNameStay) {
  const test::Folder folder;
  for (const char* name : {"model.tmp", "model.partial", ".model.partial"})
    write_text(folder / name / "notes.txt", "a person's");
  write_model(folder / "model", Existing::kReplace, "new");
  remove_abandoned(folder / "model");
  for (const char* name : {"model.tmp", "model.partial", ".model.partial"})
    EXPECT_EQ(read_text(folder / name / "notes.txt"), "a person's");
}

TEST(Folders, OnlyWhatAKilledProcessLeftIsAbandoned) {
  const test::Folder folder;
  PendingFolder held(folder / "step", Existing::kReplace);
  const pid_t child = fork();
  if (child == 0) {
    PendingFolder killed(folder / "step", Existing::kReplace);
    write_text(killed.temporary() / "half", "half");
    _exit(0);  // without destructors
  }
  waitpid(child, nullptr, 0);
  EXPECT_EQ(entries(folder.path()), 2);
  remove_abandoned(folder / "step");
  EXPECT_EQ(entries(folder.path()), 1);
  EXPECT_TRUE(fs::exists(held.temporary()));
}

TEST(Folders, AnUnfinishedOneCanBeKept) {
  const test::Folder folder;
  fs::path kept;
  {
    PendingFolder pending(folder / "data", Existing::kRefuse);
    write_text(pending.temporary() / "shard", "half");
    kept = pending.keep();
  }
  EXPECT_EQ(read_text(kept / "shard"), "half");
  EXPECT_FALSE(fs::exists(folder / "data"));
}

}  // namespace
}  // namespace moga
