// PNG files are read as they were written; contact sheets show frames of each shot.
#include "moga/data/video/image.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/random.h"
#include "moga/data/video/read_image.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

TEST(Image, PngIsLossless) {
  test::Folder folder;
  const at::Tensor image = at::randint(256, {3, 37, 53}, random_stream(1, "image"), at::kByte);
  save_png(folder / "a.png", image);
  EXPECT_TRUE(at::equal(load_png(folder / "a.png"), image));
}

TEST(Image, PngSaysWhatItWasMadeFrom) {
  test::Folder folder;
  save_png(folder / "a.png", at::zeros({3, 4, 6}, at::kByte), {"Mara é", "[[shot]]\n", "moga 1"});
  const ImageInfo info = png_info(folder / "a.png");
  EXPECT_EQ(std::pair(info.width, info.height), (std::pair<int64_t, int64_t>(6, 4)));
  EXPECT_EQ(info.tags.title + "|" + info.tags.comment + "|" + info.tags.tool, "Mara é|[[shot]]\n|moga 1");
  write_text(folder / "b.png", "not a picture");
  EXPECT_NE(test::error_of([&] { png_info(folder / "b.png"); }).find("b.png: cannot read PNG"), std::string::npos);
}

TEST(Image, JpegBytesAreReadBack) {
  const test::Folder folder;
  const at::Tensor ramp = at::arange(64, at::kFloat).mul(3).to(at::kByte).expand({3, 40, 64}).contiguous();
  write_text(folder / "a.jpg", jpeg_bytes(ramp, 90));
  const at::Tensor read = read_image(folder / "a.jpg");
  ASSERT_EQ(read.sizes(), ramp.sizes());
  EXPECT_LT((read.to(at::kFloat) - ramp.to(at::kFloat)).abs().max().item<double>(), 8);
  EXPECT_EQ(test::error_of([&] { jpeg_bytes(ramp, 101); }), "JPEG: quality is 101, expected 1 to 100");
}

// libpng would allocate two gigabytes for it.
TEST(Image, AChunkBeyondTheFileIsRefused) {
  const test::Folder folder;
  save_png(folder / "a.png", at::zeros({3, 4, 4}, at::kByte), {"title", "", ""});
  std::string bytes = read_text(folder / "a.png");
  bytes.replace(bytes.find("iTXt") - 4, 4, "\x7f\xff\xff\xff");
  write_text(folder / "a.png", bytes);
  const std::string expected = "a chunk claims 2147483647 bytes, the file has ";
  EXPECT_NE(test::error_of([&] { png_info(folder / "a.png"); }).find(expected), std::string::npos);
  EXPECT_NE(test::error_of([&] { load_png(folder / "a.png"); }).find(expected), std::string::npos);
}

TEST(Image, AFileThatIsNoPngIsNamed) {
  test::Folder folder;
  write_text(folder / "a.png", "not a picture");
  const std::string message = test::error_of([&] { load_png(folder / "a.png"); });
  EXPECT_NE(message.find("a.png: cannot read PNG"), std::string::npos) << message;
}

TEST(Image, TilesLieInRowsWithAMargin) {
  const auto picture = [](int value) { return at::full({3, 2, 3}, value, at::kByte); };
  const at::Tensor sheet = tile_images({{picture(100), picture(200)}, {picture(50)}}, 1);
  EXPECT_EQ(sheet.sizes(), (at::IntArrayRef{3, 7, 9}));
  EXPECT_EQ(sheet[0][1][1].item<int>(), 100);
  EXPECT_EQ(sheet[2][2][7].item<int>(), 200);
  EXPECT_EQ(sheet[1][5][3].item<int>(), 50);
  EXPECT_EQ(sheet[1][0][0].item<int>(), sheet[1][5][6].item<int>());  // background, also after the end of a short row
}

TEST(ContactSheet, HasARowAShotWhateverThePieces) {
  const at::Tensor video = at::arange(30, at::kByte).view({30, 1, 1, 1}).expand({30, 3, 8, 8});
  ContactSheet whole({10, 20}, 2), pieces({10, 20}, 2);
  whole.add(video);
  for (const at::Tensor& piece : video.split(7)) pieces.add(piece);
  EXPECT_TRUE(at::equal(whole.image(), pieces.image()));
  EXPECT_EQ(whole.image()[0][4][4].item<int>(), 2);    // a quarter into shot 1
  EXPECT_EQ(whole.image()[0][4][16].item<int>(), 7);   // three quarters into it
  EXPECT_EQ(whole.image()[0][16][4].item<int>(), 15);  // a quarter into shot 2
}

TEST(ContactSheet, LargeFramesAreMadeSmallerAndKeepTheirColours) {
  const at::Tensor frame = at::arange(832, at::kFloat).mul(255.0 / 831).round().to(at::kByte).expand({1, 3, 480, 832});
  ContactSheet sheet({1, 1});
  sheet.add(frame);
  sheet.add(frame);
  const at::Tensor image = sheet.image();
  EXPECT_LE(image.size(2), ContactSheet::kWidest);
  EXPECT_GT(image.size(2), ContactSheet::kWidest - 10);
  const int64_t width = (image.size(2) - 4) / 5 - 4, height = (image.size(1) - 4) / 2 - 4;
  EXPECT_NEAR(static_cast<double>(width) / static_cast<double>(height), 832.0 / 480.0, 0.01);
  const at::Tensor row = image[0][4 + height / 2].narrow(0, 4, width).to(at::kFloat);  // a ramp from black to white
  EXPECT_LE((row - at::linspace(0, 255, width)).abs().max().item<float>(), 2.0f);
}

TEST(ContactSheet, RepeatsFramesOfAShortShot) {
  ContactSheet sheet({1}, 3);
  sheet.add(at::full({1, 3, 4, 4}, 9, at::kByte));
  EXPECT_EQ(sheet.image().sizes(), (at::IntArrayRef{3, 12, 28}));
  EXPECT_EQ(sheet.image()[0][5][22].item<int>(), 9);
}

}  // namespace
}  // namespace moga
