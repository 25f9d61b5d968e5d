// Event files as TensorBoard's own writer makes them: the bytes were compared with those of TensorBoard 2.21.
#include "moga/train/loop/event_file.h"

#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

using Record = std::string;

uint64_t number(const std::string& text, size_t at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(text[at + i]);
  return value;
}

// The data of every record, and the checksum of its length.
std::vector<std::pair<Record, uint64_t>> records_of(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  std::vector<std::pair<Record, uint64_t>> records;
  for (size_t at = 0; at < text.size();) {
    const uint64_t length = number(text, at, 8);
    records.emplace_back(text.substr(at + 12, length), number(text, at + 8, 4));
    at += 16 + length;
  }
  return records;
}

TEST(EventFile, BeginsWithItsVersionInACheckedRecord) {
  const test::Folder folder;
  const auto records = records_of(EventFile(folder.path(), 0).path());
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].first.size(), 26u);
  EXPECT_EQ(records[0].second, 0x2DD89B12u);
  EXPECT_EQ(records[0].first.substr(9), std::string("\x10\x00\x1a\x0d", 4) + "brain.Event:2");
}

TEST(EventFile, HoldsTheScalarsAndGroupsOfALine) {
  const test::Folder folder;
  EventFile file(folder.path(), 0);
  file.add_line(300, {{"step", 300}, {"loss", 0.5}, {"groups", {{0.25, 0.75}}}, {"stage", "long"}});
  const Record event = records_of(file.path()).at(1).first;
  EXPECT_EQ(event.substr(9, 3), "\x10\xac\x02");                                                  // step = 300
  EXPECT_NE(event.find(std::string("\x0a\x04loss\x15\x00\x00\x00\x3f", 11)), std::string::npos);  // loss = 0.5f
  EXPECT_NE(event.find("groups/layer 0"), std::string::npos);
  EXPECT_EQ(event.find("stage"), std::string::npos);
  file.add_line(301, {{"groups", {nlohmann::json::array(), {0.25, 0.75}}}, {"gate", {nullptr, 0.5}}});
  const Record later = records_of(file.path()).at(2).first;  // a layer without a router has neither
  EXPECT_NE(later.find("groups/layer 1"), std::string::npos);
  EXPECT_NE(later.find("gate/layer 1"), std::string::npos);
  EXPECT_EQ(later.find("layer 0"), std::string::npos);
}

TEST(EventFile, AResumedRunStartsASession) {
  const test::Folder folder;
  const auto records = records_of(EventFile(folder.path(), 7).path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].first.substr(9), "\x10\x07\x3a\x02\x08\x01");
}

TEST(EventFile, NumbersOfAnObjectAreNamedAfterIt) {
  const auto scalars = scalars_of({{"gradient_norms", {{"mlp", 1.5}, {"router", 2.0}}}, {"ranks", {{"host", "a"}}}});
  ASSERT_EQ(scalars.size(), 2u);
  EXPECT_EQ(scalars[1], (std::pair<std::string, double>("gradient_norms/router", 2.0)));
}

TEST(EventFile, ListsOfNumbersAreScalarsPerLayer) {
  const auto scalars = scalars_of({{"imbalance", {1.5, 2.0}}, {"step", 3}, {"loss", 1.0}});
  ASSERT_EQ(scalars.size(), 3u);
  EXPECT_EQ(scalars[1], (std::pair<std::string, double>("imbalance/layer 1", 2.0)));
}

}  // namespace
}  // namespace moga
