// A script's images are read next to it; one line says what is stretched or cannot be.
#include "moga/pipeline/script_request.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/data/video/image.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/error.h"

namespace moga {
namespace {

constexpr Strides kPixels = {4, 16, 16};

TEST(ScriptRequest, SuggestsASizeOfTheSameAreaWhereProportionsDiffer) {
  EXPECT_EQ(size_note({1664, 960}, {832, 480}, kPixels), "");
  EXPECT_EQ(size_note({840, 480}, {832, 480}, kPixels), "");
  EXPECT_EQ(size_note({1000, 1000}, {832, 480}, kPixels),
            "is 1000x1000, and is stretched to the video's 832x480; --size 624x624 keeps its proportions");
  EXPECT_EQ(size_note({100, 3000}, {48, 32}, kPixels).find("is 100x3000, and is stretched"), 0u);
}

TEST(ScriptRequest, ReadsImagesNextToTheScript) {
  const test::Folder folder;
  const Models models = load_models(test::image_folder(), at::kCPU, at::kFloat);
  const at::Tensor picture = at::randint(256, {3, 32, 48}, at::kByte);
  std::filesystem::create_directories(folder / "pictures");
  save_png(folder / "pictures/a.png", picture);
  const std::string shot = "[[shot]]\ncaption = \"Mara waves.\"\nframes = 5\n";
  write_text(folder / "a.toml", "size = [48, 32]\n" + shot + shot + "image = \"pictures/a.png\"\n");
  const VideoRequest request = script_request(load_script(folder / "a.toml"), models);
  ASSERT_EQ(request.images.size(), 2u);
  EXPECT_FALSE(request.images[0].first.defined());
  EXPECT_TRUE(at::equal(request.images[1].first, picture));
  write_text(folder / "b.toml", "size = [48, 32]\n" + shot + "image = \"none.png\"\n");
  EXPECT_EQ(test::error_of([&] {
              script_request(load_script(folder / "b.toml"), models);
            }).find((folder / "none.png").string() + ": "),
            0u);
}

}  // namespace
}  // namespace moga
