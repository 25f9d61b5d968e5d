// Pictures of many kinds give Pillow's pixels (tools/make_fixtures_pictures.py); what cannot be shown is refused by
// name.
#include "moga/data/video/read_image.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/core/safetensors.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const std::filesystem::path kPictures = MOGA_FIXTURES;

TEST(ReadImage, GivesPillowsPixels) {
  const Safetensors expected(kPictures / "pictures.safetensors");
  ASSERT_EQ(expected.names().size(), 18u);
  for (const std::string& name : expected.names()) {
    const at::Tensor image = read_image(kPictures / name), pixels = expected.load(name);
    ASSERT_EQ(image.sizes(), pixels.sizes()) << name;
    // JPEG decoders may differ in the last bit of a colour.
    const int64_t allowed = name.ends_with(".jpg") ? 1 : 0;
    EXPECT_LE((image.to(at::kInt) - pixels.to(at::kInt)).abs().max().item<int64_t>(), allowed) << name;
  }
}

TEST(ReadImage, RefusesByName) {
  const auto error = [](const std::string& name) {
    const std::string path = (kPictures / "refused" / name).string();
    const std::string message = test::error_of([&] { read_image(path); });
    return message.starts_with(path + ": ") ? message.substr(path.size() + 2) : message;
  };
  EXPECT_EQ(error("transparent.png"), "has transparent pixels, expected an opaque picture; save it on a background");
  EXPECT_EQ(error("cmyk.jpg"), "a JPEG in CMYK colours, expected RGB; save it as RGB");
  EXPECT_EQ(error("picture.webp"), "is a WebP picture, expected PNG or JPEG");
  EXPECT_EQ(error("half.jpg"), "a damaged JPEG, its data end too early or are corrupt");
  EXPECT_EQ(error("half.png"), "cannot read PNG: a chunk claims 1180 bytes, the file has 700; is it truncated?");
  EXPECT_NE(error("none.png").find("No such file"), std::string::npos) << error("none.png");
}

TEST(ReadImage, LooksAtTheFileAndNotAtItsName) {
  const test::Folder folder;
  std::filesystem::copy(kPictures / "rgb.jpg", folder / "a.png");
  EXPECT_TRUE(at::equal(read_image(folder / "a.png"), read_image(kPictures / "rgb.jpg")));
  write_text(folder / "b.png", "P6 2 2 255 ............");
  EXPECT_EQ(test::error_of([&] { read_image(folder / "b.png"); }),
            (folder / "b.png").string() + ": is no picture, expected PNG or JPEG");
}

}  // namespace
}  // namespace moga
