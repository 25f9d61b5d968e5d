// Any change of a sealed file is noticed.
#include "moga/core/checksum.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

TEST(Checksum, EveryBitOfASealedFileCounts) {
  const test::Folder folder;
  save_sealed(folder / "a", {{"x", at::arange(5, at::kFloat)}, {"y", at::ones({3}, at::kByte)}}, {{"steps", "3"}});
  const std::string good = read_text(folder / "a");
  EXPECT_EQ(load_sealed(folder / "a").metadata, (std::map<std::string, std::string>{{"steps", "3"}}));
  int believed = 0;
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    write_text(folder / "b", bad);
    believed += test::error_of([&] { load_sealed(folder / "b"); }).empty();
  }
  EXPECT_EQ(believed, 0);
}

TEST(Checksum, AFileWithoutOneIsRefused) {
  const test::Folder folder;
  save_safetensors(folder / "a", {{"x", at::ones({2})}});
  EXPECT_NE(test::error_of([&] { load_sealed(folder / "a"); }).find("has no checksum"), std::string::npos);
}

TEST(Checksum, OfAFileDependsOnItsBytesAndLength) {
  const test::Folder folder;
  std::set<std::string> sums;
  for (const std::string& text : {std::string(), std::string(1, '\0'), std::string(8, '\0'), std::string("abc"),
                                  std::string((1 << 20) + 1, 'x')}) {
    write_text(folder / "a", text);
    EXPECT_EQ(file_checksum(folder / "a"), text_checksum(text));
    sums.insert(text_checksum(text));
  }
  EXPECT_EQ(sums.size(), 5);
  EXPECT_EQ(text_checksum("abc"), "9b98525bfd3b33f2");  // the bits of checkpoints written so far
}

// "ab", "c" and "a", "bc"; "a\0", "b" and "a", "b\0".
TEST(Checksum, ValuesAreKeptApart) {
  const auto sum = [](const std::string& a, const std::string& b) {
    Checksum checksum;
    checksum.add(a);
    checksum.add(b);
    return checksum.text();
  };
  const std::string zero(1, '\0');
  EXPECT_NE(sum("ab", "c"), sum("a", "bc"));
  EXPECT_NE(sum("a" + zero, "b"), sum("a", "b" + zero));
}

}  // namespace
}  // namespace moga
